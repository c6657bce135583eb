#include "launch/chaos/chaos.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <thread>

#include "core/tensor/error.h"
#include "expect_message.h"
#include "io/temporary_folder.h"
#include "launch/train/agreement.h"
#include "support/on_ranks.h"

namespace convoy {
namespace {

using namespace std::chrono_literals;

InjectScene scene() {
  return {.ranks = 3, .seed = 7, .last_step = 200, .samples = 1000, .held_out = {},
          .parameters = {"conv1/bias", "conv1/filters"}};
}

/// Until a thread of this process sleeps in a delay.
void await_delay() {
  const auto delayed = [](const trace::Lane& lane) { return lane.now().what.starts_with("slow:"); };
  for (bool found = false; !found; std::this_thread::sleep_for(1ms)) {
    const auto lanes = trace::lanes();
    found = std::any_of(lanes.begin(), lanes.end(), delayed);
  }
}

class ChaosTest : public testing::Test {
 protected:
  std::filesystem::path log() const { return folder_.path() / "injected.log"; }
  Chaos chaos(const std::string& spec, int rank) const {
    return Chaos(settle_inject(parse_inject(spec), scene()), rank, log(), scene().seed);
  }
  std::string logged() const { return bytes_of(log()); }

  /// A child process that plays `rank`; the caller ends it.
  template <typename Play>
  int child(const std::string& spec, int rank, const Play& play) const {
    const int pid = fork();
    if (pid != 0) return pid;
    Chaos mine = chaos(spec, rank);
    play(mine);
    _exit(0);
  }
  /// Until the log holds a line, at most 10 s.
  void await_log() const {
    for (int wait = 0; wait < 2000 && !std::filesystem::exists(log()); ++wait) std::this_thread::sleep_for(5ms);
    ASSERT_TRUE(std::filesystem::exists(log()));
  }

  TemporaryFolder folder_;
};

TEST_F(ChaosTest, KillsItselfBeforeTheStepHavingSaidSo) {
  EXPECT_EXIT(
      {
        Chaos mine = chaos("kill:rank=2@step=37", 2);
        mine.before_step(36);
        std::fputs("still here\n", stderr);
        mine.before_step(37);
      },
      testing::KilledBySignal(SIGKILL), "still here\n\\[inject\\] rank 2: kill before step 37\n$");
  EXPECT_TRUE(logged().starts_with("1 kill:rank=2@step=37 :: rank 2: kill before step 37")) << logged();
}

TEST_F(ChaosTest, StrikesOnceInTheLifeOfARun) {
  EXPECT_EXIT(chaos("kill:rank=1@step=3", 1).before_step(3), testing::KilledBySignal(SIGKILL), "");
  chaos("kill:rank=1@step=3", 1).before_step(3);  // the next life
  // The same words as another clause of the list are another fault.
  EXPECT_EXIT(chaos("stop:rank=0@step=1; kill:rank=1@step=3", 1).before_step(3), testing::KilledBySignal(SIGKILL), "");
}

TEST_F(ChaosTest, StrikesAgainWhereTheRecordWasCutShort) {
  std::ofstream(log()) << "1 kill:rank=1@step=3";
  EXPECT_EXIT(chaos("kill:rank=1@step=3", 1).before_step(3), testing::KilledBySignal(SIGKILL), "");
}

TEST_F(ChaosTest, DoesNotStrikeWithoutARecord) {
  std::filesystem::create_directory(log());  // so that it cannot be written, even by root
  Chaos mine(settle_inject(parse_inject("kill:rank=1@step=3"), scene()), 1, log() / "absent/injected.log", 7);
  try {
    mine.before_step(3);
    ADD_FAILURE() << "went on";
  } catch (const LibraryError& error) {
    test::expect_parts(error.what(), {"absent/injected.log", "No such file", "every life"});
  }
}

TEST_F(ChaosTest, LeavesOtherRanksAlone) {
  Chaos mine = chaos("kill:rank=2@step=37; stop:rank=2@step=37; flip:rank=2,tensor=conv1@step=37", 1);
  ModelState state;  // without tensors: touching one would throw
  mine.before_step(37);
  mine.after_update(37, state);
  EXPECT_FALSE(std::filesystem::exists(log()));
}

TEST_F(ChaosTest, StopsItselfAndGoesOnWhenContinued) {
  const int pid = child("stop:rank=1@step=9", 1, [](Chaos& mine) { mine.before_step(9); });
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, WUNTRACED), pid);
  EXPECT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP) << status;
  kill(pid, SIGCONT);
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST_F(ChaosTest, NeverEntersTheReductionItHangsIn) {
  const int pid = child("hang:rank=1@step=9", 1, [](Chaos& mine) {
    mine.before_reduction(8);
    mine.before_reduction(9);
  });
  await_log();
  std::this_thread::sleep_for(1500ms);  // it looks about once a second
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, WNOHANG), 0) << "it came back";
  kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  EXPECT_NE(logged().find("hang before the reduction of step 9"), std::string::npos) << logged();
}

TEST_F(ChaosTest, DelaysThePartsAndStepsThatAreSlowAndSaysSoOnce) {
  Chaos mine = chaos("slow:rank=1,compute=30ms@step=2-3", 1);
  const auto spent = [](const auto& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::steady_clock::now() - begin;
  };
  testing::internal::CaptureStderr();
  for (std::int64_t step = 1; step <= 4; ++step) {
    mine.before_input(step);
    mine.before_reduction(step);
  }
  mine.before_compute(1);
  mine.before_compute(4);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");  // what does not delay announces nothing
  testing::internal::CaptureStderr();
  EXPECT_GE(spent([&] { mine.before_compute(2); }), 30ms);
  EXPECT_GE(spent([&] { mine.before_compute(3); }), 30ms);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "[inject] rank 1: slow:rank=1,compute=30ms@step=2-3, from step 2\n");
  EXPECT_FALSE(std::filesystem::exists(log()));  // it lies in the machine, in every life
}

TEST_F(ChaosTest, DelaysTheReductionBeforeItsFirstBucketAlone) {
  const int pid = child("slow:rank=1,reduce=3000s@step=2", 1, [](Chaos& mine) {
    mine.before_reduction(1);
    std::thread first([&] { mine.before_reduction(2); });
    await_delay();
    mine.before_reduction(2);  // would last most of an hour
    _exit(5);
  });
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 5) << status;
}

ModelState state_of_zeros() {
  ModelState state;
  for (const char* name : {"conv1/bias", "conv1/filters"}) state.parameters.emplace(name, Tensor(Shape{5, 3}, DType::f32));
  return state;
}

/// Bits that are set, over all bytes of the tensor.
int bits_in(const Tensor& tensor) {
  int bits = 0;
  for (std::size_t i = 0; i < tensor.size_bytes(); ++i)
    bits += std::popcount(std::to_integer<unsigned>(tensor.bytes()[i]));
  return bits;
}

TEST_F(ChaosTest, FlipsOneBitOfOneTensorOnce) {
  ModelState state = state_of_zeros();
  Chaos mine = chaos("flip:tensor=conv1/f,rank=1@step=80", 1);
  mine.after_update(79, state);
  EXPECT_EQ(bits_in(state.parameters.at("conv1/filters")), 0);
  mine.after_update(80, state);
  mine.after_update(80, state);
  EXPECT_EQ(bits_in(state.parameters.at("conv1/filters")), 1);
  EXPECT_EQ(bits_in(state.parameters.at("conv1/bias")), 0);
}

TEST_F(ChaosTest, FlipsTheSameBitForTheSameSeed) {
  ModelState first = state_of_zeros(), second = state_of_zeros();
  chaos("flip:tensor=conv1/f,rank=1@step=80", 1).after_update(80, first);
  std::filesystem::remove(log());
  chaos("flip:tensor=conv1/f,rank=1@step=80", 1).after_update(80, second);
  const Tensor &a = first.parameters.at("conv1/filters"), &b = second.parameters.at("conv1/filters");
  EXPECT_EQ(std::memcmp(a.bytes(), b.bytes(), a.size_bytes()), 0);
}

TEST_F(ChaosTest, FailsTheNamedSaveWithItsErrno) {
  Chaos mine = chaos("enospc@checkpoint=2; eio@checkpoint=3", 0);
  EXPECT_EQ(mine.before_save(0), std::nullopt);
  EXPECT_EQ(mine.before_save(1), ENOSPC);
  EXPECT_EQ(mine.before_save(2), EIO);
  EXPECT_EQ(mine.before_save(3), std::nullopt);
  EXPECT_EQ(chaos("enospc@checkpoint=2; eio@checkpoint=3", 0).before_save(1), std::nullopt);  // the next life
}

TEST_F(ChaosTest, KillsTheWriterInTheMidstOfTheNamedSave) {
  EXPECT_EXIT(
      {
        Chaos mine = chaos("kill@checkpoint=2", 0);
        for (int save = 1; save <= 2; ++save) {
          std::fprintf(stderr, "save %d\n", save);
          mine.before_save(save - 1);
          for (int part = 0; part <= 100; ++part) mine.during_save(part / 100.0);
        }
      },
      testing::KilledBySignal(SIGKILL), "save 1\nsave 2\n\\[inject\\] rank 0: kill in save 2, [0-9]+ % of it written");
}

TEST_F(ChaosTest, DelaysASaveOnce) {
  const int pid = child("slow:checkpoint=3000s@step=2", 0, [](Chaos& mine) {
    mine.before_save(0);
    mine.slow_save();  // in step 0
    mine.before_step(2);
    mine.slow_save();
    mine.before_save(1);
    std::thread first([&] { mine.slow_save(); });
    await_delay();
    mine.slow_save();  // would last most of an hour
    _exit(5);
  });
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 5) << status;
}

TEST_F(ChaosTest, PoisonsItsSampleWheneverItIsDrawnAndSaysSoOnce) {
  Chaos mine = chaos("nan:sample=123", 1);
  EXPECT_TRUE(mine.poisons());
  mine.before_step(5);
  testing::internal::CaptureStderr();
  EXPECT_FALSE(mine.poison(122));
  EXPECT_TRUE(mine.poison(123));
  EXPECT_TRUE(mine.poison(123));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "[inject] rank 1: sample 123 is NaN, first in step 5\n");
  EXPECT_FALSE(chaos("stop@step=1", 1).poisons());
}

TEST_F(ChaosTest, NamesWhatNeverStruck) {
  Chaos mine = chaos("enospc@checkpoint=1; eio@checkpoint=9; slow:compute=1ms; kill:rank=2@step=100", 0);
  mine.before_save(0);
  EXPECT_EQ(mine.not_struck(), (std::vector<std::string>{"eio@checkpoint=9", "kill:rank=2@step=100"}));
}

TEST_F(ChaosTest, IsNothingWithoutClauses) {
  on_ranks(2, [&](Communicator& world) {
    EXPECT_EQ(make_chaos(world, {.spec = " ; ", .run_folder = folder_.path(), .new_run = false, .scene = scene()}), nullptr);
  });
}

TEST_F(ChaosTest, RefusesABadClauseOnEveryRank) {
  on_ranks(2, [&](Communicator& world) {
    try {
      make_chaos(world, {.spec = "kill:rank=2@step=1", .run_folder = folder_.path(), .new_run = false, .scene = scene()});
      ADD_FAILURE() << "accepted";
    } catch (const AgreedError& error) {
      EXPECT_EQ(error.status(), 2);
      test::expect_parts(error.what(), {"a rank from 0 to 1, found rank=2"});
    }
  });
}

TEST_F(ChaosTest, ForgetsTheLogOfAnEarlierRunOfTheSameName) {
  for (const bool new_run : {false, true}) {
    std::ofstream(log()) << "1 enospc@checkpoint=1 :: rank 0: save 1 meets a full disk\n";
    on_ranks(2, [&](Communicator& world) {
      const auto mine =
          make_chaos(world, {.spec = "enospc@checkpoint=1", .run_folder = folder_.path(), .new_run = new_run, .scene = scene()});
      EXPECT_EQ(mine != nullptr, new_run);
      if (!mine || world.rank() != 0) return;
      EXPECT_EQ(mine->before_save(0), ENOSPC);
    });
  }
}

TEST_F(ChaosTest, LetsALifeOnFewerRanksPassWhatHasStruck) {
  std::ofstream(log()) << "1 kill:rank=2@step=5 :: rank 2: kill before step 5\n";
  on_ranks(2, [&](Communicator& world) {
    const std::string spec = "kill:rank=2@step=5; stop:rank=1@step=9";
    const auto mine = make_chaos(world, {.spec = spec, .run_folder = folder_.path(), .new_run = false, .scene = scene()});
    ASSERT_NE(mine, nullptr);
    EXPECT_EQ(mine->not_struck(), std::vector<std::string>{"stop:rank=1@step=9"});
  });
}

}  // namespace
}  // namespace convoy
