// Members whose ranks are killed, stopped, hang or fail alone; and runs that are killed or told to stop.
#include <csignal>

#include "ensemble_fixture.h"

namespace convoy {
namespace {

constexpr const char* kRecovery = "--enable-recovery";

class EnsembleFaults : public Ensembles {
 protected:
  static std::vector<int> ranks(const std::string& run) { return ranks_of(folder_->path() / "runs", run); }
  static void expect_words(const std::string& text, std::initializer_list<const char*> words) {
    for (const char* word : words) EXPECT_NE(text.find(word), std::string::npos) << word << "\n" << text;
  }
  static std::string calm_digest(int number) {
    if (!std::filesystem::exists(run_folder("calm"))) {
      EXPECT_EQ(ensemble(1, "calm", kThree).status, 0);
    }
    return member_digest("calm", number);
  }
};

TEST_F(EnsembleFaults, OutlivesARankThatIsKilled) {
  const Outcome outcome = ensemble(
      3, "killed", std::string(kThree) + " '--member-overrides=2:inject=kill:rank=0@step=9; 3:train.epochs=40'",
      kRecovery);
  expect_words(outcome.err, {"[ensemble] rank 1 (host ", "was killed or crashed", "; the other teams go on",
                             "[ensemble] member 3: trained",
                             "2 of 3 members are trained; missing: 2; member 2 failed: rank 1 "});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(status("killed")["status"], 1);
  EXPECT_EQ(status("killed")["rank"], 1);
  EXPECT_EQ(status("killed")["again"], true);
  EXPECT_EQ(member_status("killed", 1)["status"], 0);
  EXPECT_EQ(member_status("killed", 2)["status"], 1);
  EXPECT_EQ(member_status("killed", 3)["status"], 0);
  EXPECT_TRUE(ranks("killed").empty());
  EXPECT_FALSE(is_complete("killed"));
  const std::string before = traces("killed", 1) + traces("killed", 3);
  ASSERT_EQ(ensemble(2, "killed",
                     std::string(kThree) +
                         " '--member-overrides=2:inject=kill:rank=0@step=9; 3:train.epochs=40' --resume=latest")
                .status,
            0);
  EXPECT_EQ(traces("killed", 1) + traces("killed", 3), before);
  EXPECT_EQ(member_digest("killed", 2), calm_digest(2));
  EXPECT_TRUE(is_complete("killed"));
}

TEST_F(EnsembleFaults, OutlivesRankZeroToo) {
  const Outcome outcome = ensemble(
      3, "zero", std::string(kThree) + " '--member-overrides=1:inject=kill:rank=0@step=9; 3:train.epochs=40'",
      kRecovery);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(status("zero")["status"], 1) << outcome.err;
  EXPECT_EQ(status("zero")["rank"], 0);
  EXPECT_EQ(member_status("zero", 1)["status"], 1);
  EXPECT_EQ(member_status("zero", 2)["status"], 0);
  EXPECT_EQ(member_status("zero", 3)["status"], 0);
  EXPECT_TRUE(ranks("zero").empty());
}

TEST_F(EnsembleFaults, EndsTheWaitsOfATeamThatLosesARank) {
  const Outcome outcome = ensemble(
      4, "team",
      "--mode=ensemble --members=2 '--member-overrides=1:inject=kill:rank=1@step=9; 2:train.epochs=20'",
      kRecovery);
  expect_words(outcome.err, {"member 1: rank 1 (host ", "rank 0 waits for it in gradient bucket 0 of step 9",
                             "[ensemble] member 2: trained"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(member_status("team", 1)["rank"], 1);
  EXPECT_EQ(member_status("team", 1)["step"], 8);
  EXPECT_EQ(member_status("team", 2)["status"], 0);
  EXPECT_TRUE(ranks("team").empty());
}

TEST_F(EnsembleFaults, TakesAStoppedRankForLost) {
  const Outcome outcome = ensemble(
      2, "stopped", "--mode=ensemble --members=2 '--member-overrides=2:inject=stop:rank=0@step=9'", kRecovery);
  expect_words(outcome.err, {"is stopped (SIGSTOP)", "1 of 2 members are trained; missing: 2"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(status("stopped")["rank"], 1);
  EXPECT_EQ(member_status("stopped", 1)["status"], 0);
  EXPECT_TRUE(eventually([] { return ranks("stopped").empty(); }));
}

TEST_F(EnsembleFaults, DoesNotWaitForEverForARankThatHangs) {
  const Outcome outcome = ensemble(
      3, "hangs", "--mode=ensemble --members=2 --timeout=3 '--member-overrides=2:inject=hang:rank=1@step=9'",
      kRecovery);
  expect_words(outcome.err,
               {"[ensemble] member 2: rank 1 waited 3.0 s for rank 2 in gradient bucket 0 of step 9",
                "rank 2 does not come to the end of the run", "1 of 2 members are trained; missing: 2"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;  // --enable-recovery: always, unless it had not ended
  EXPECT_EQ(member_status("hangs", 1)["status"], 0);
  EXPECT_EQ(status("hangs")["rank"], 2);
  EXPECT_TRUE(eventually([] { return ranks("hangs").empty(); }));
}

/// Of three ranks, two train the member whose data are damaged, and one of these two meets the sample.
TEST_F(EnsembleFaults, TellsTheTeamOfARankThatFailsAlone) {
  const auto data = folder_->path() / "damaged";
  std::filesystem::copy(folder_->path() / "data", data);
  const auto shard = data / "train-00001-of-00003.h5";
  std::string content = bytes_of(shard);
  content[content.size() / 2] ^= 1;
  write_bytes(shard, content);
  const Outcome outcome =
      ensemble(3, "alone", "--mode=ensemble --members=2 --member-overrides=2:data.path=" + data.string());
  EXPECT_EQ(outcome.status, 3) << outcome.err;
  expect_words(outcome.err, {"[ensemble] member 2: ", "train-00001-of-00003.h5, sample ",
                             "1 of 2 members are trained; missing: 2"});
  EXPECT_EQ(member_status("alone", 1)["status"], 0);
  EXPECT_EQ(member_status("alone", 2)["status"], 3);
  EXPECT_EQ(outcome.err.find("was interrupted"), std::string::npos) << outcome.err;
}

TEST_F(EnsembleFaults, DoesNotTrainAgainWhatWasTrainedBeforeAKill) {
  const std::string options =
      std::string(kThree) + " '--member-overrides=2:train.epochs=2000' --checkpoint.every-steps=100";
  std::thread other([&] {
    EXPECT_TRUE(eventually([] {
      return !member_status("all-killed", 1).is_null() &&
             std::filesystem::exists(member("all-killed", 2) / "checkpoints/latest");
    }));
    for (const int pid : ranks("all-killed")) kill(pid, SIGKILL);
  });
  const Outcome killed = ensemble(2, "all-killed", options);
  other.join();
  EXPECT_NE(killed.status, 0);
  EXPECT_TRUE(status("all-killed").is_null());
  EXPECT_TRUE(eventually([] { return ranks("all-killed").empty(); }));
  const std::string before = traces("all-killed", 1);
  const Outcome resumed =
      ensemble(3, "all-killed",
               std::string(kThree) +
                   " --member-overrides=2:train.epochs=100 --resume=latest --checkpoint.every-steps=100");
  // Member 2 goes on from a checkpoint beyond its end, or from one before it.
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(traces("all-killed", 1), before);
  EXPECT_EQ(member_digest("all-killed", 1), calm_digest(1));
  EXPECT_EQ(member_digest("all-killed", 3), calm_digest(3));
  EXPECT_TRUE(is_complete("all-killed"));
}

TEST_F(EnsembleFaults, StopsAllMembersWhenOneRankIsTold) {
  const std::string options = with(kModel, "--train.epochs=2000") + " --mode=ensemble --members=4";
  std::thread other([] {
    EXPECT_TRUE(eventually([] {
      return std::filesystem::exists(member("told", 1) / "metrics.jsonl") &&
             std::filesystem::exists(member("told", 2) / "metrics.jsonl");
    }));
    const std::vector<int> pids = ranks("told");
    ASSERT_EQ(pids.size(), 2U);
    kill(pids[1], SIGUSR2);
  });
  const Outcome outcome = run_command(std::string(CONVOY_MPIRUN) + " -n 2 " + command("told", options));
  other.join();
  EXPECT_EQ(outcome.status, 75) << outcome.err;
  expect_words(outcome.err, {"[ensemble] stopped by a signal: 0 of 4 members are trained; missing: 1, 2, 3, 4; "
                             "--resume=latest goes on"});
  EXPECT_EQ(status("told")["status"], 75);
  for (int number : {1, 2}) {
    EXPECT_EQ(member_status("told", number)["status"], 75);
    EXPECT_TRUE(std::filesystem::exists(member("told", number) / "checkpoints/latest"));
  }
  EXPECT_FALSE(std::filesystem::exists(member("told", 3)));
}

TEST_F(EnsembleFaults, IsMendedByMpirunTrain) {
  const Outcome outcome =
      run_command(std::string(CONVOY_SOURCE) + "/launch/mpirun-train -n 2 --convoy='" + CONVOY_BINARY +
                  "' --runs=" + (folder_->path() / "runs").string() +
                  " --run=mended --data.path=" + (folder_->path() / "data").string() + kModel + kThree +
                  " '--member-overrides=2:inject=kill:rank=0@step=9; 3:train.epochs=20'");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  expect_words(outcome.err, {"life 1 ended: 1", "3 members, 2 of them trained already", "done at step "});
  EXPECT_EQ(member_digest("mended", 2), calm_digest(2));
  EXPECT_TRUE(is_complete("mended"));
  const Outcome refused =
      run_command(std::string(CONVOY_SOURCE) + "/launch/mpirun-train -n 2 --convoy='" + CONVOY_BINARY +
                  "' --run=refused --mode=ensemble --model.name=mlp --data.path=x");
  EXPECT_EQ(refused.status, 2) << refused.err;
}

}  // namespace
}  // namespace convoy
