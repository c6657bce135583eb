// Plans that were chosen by timing: rank 0's are everybody's, and a checkpoint's are a resumed run's.
#include "launch/train/plans.h"

#include <gtest/gtest.h>

#include <atomic>

#include "core/tensor/error.h"
#include "launch/train/agreement.h"
#include "support/idle_device.h"
#include "support/on_ranks.h"

namespace convoy {
namespace {

/// Chooses another plan on every rank, unless it was told.
class Choosy final : public Backend {
 public:
  Choosy(int rank, bool on_host) : rank_(rank), host_(make_host_device()), on_host_(on_host) {}
  std::string_view name() const override { return "choosy"; }
  std::unique_ptr<Kernel> try_bind(const OpDesc&, int, std::string*) const override { return nullptr; }
  Device& device() const override { return on_host_ ? *host_ : const_cast<test::IdleDevice&>(idle_); }
  std::string plans() const override { return chosen_; }
  void adopt_plans(const std::string& plans) override { chosen_ = plans; }
  std::vector<std::pair<std::string, std::string>> identity() const override { return {}; }
  void choose() {
    if (chosen_.empty()) chosen_ = "conv1 engine " + std::to_string(rank_);
  }

 private:
  int rank_;
  std::unique_ptr<Device> host_;
  test::IdleDevice idle_;
  bool on_host_;
  std::string chosen_;
};

TEST(Plans, OfRankZeroAreAdoptedByTheOthersBeforeTheyBind) {
  on_ranks(3, [](Communicator& world) {
    Choosy backend(world.rank(), false);
    bind_alike(world, backend, "", [&] { backend.choose(); });
    EXPECT_EQ(backend.plans(), "conv1 engine 0");
  });
}

TEST(Plans, OfACheckpointComeBeforeAnyChoice) {
  on_ranks(3, [](Communicator& world) {
    Choosy backend(world.rank(), false);
    // Rank 0 alone has read the checkpoint.
    bind_alike(world, backend, world.rank() == 0 ? "conv1 engine 7" : "", [&] { backend.choose(); });
    EXPECT_EQ(backend.plans(), "conv1 engine 7");
  });
}

TEST(Plans, AreNotWaitedForOnAHost) {
  std::atomic<int> bound = 0;
  on_ranks(2, [&](Communicator& world) {
    Choosy backend(world.rank(), true);
    bind_alike(world, backend, "", [&] { ++bound; });
    EXPECT_EQ(backend.plans(), "");
  });
  EXPECT_EQ(bound, 2);
}

TEST(Plans, OfARankThatCannotBindEndAllRanks) {
  for (int bad : {0, 1})
    on_ranks(2, [&](Communicator& world) {
      Choosy backend(world.rank(), false);
      EXPECT_THROW(bind_alike(world, backend, "",
                              [&] {
                                if (world.rank() == bad) throw LibraryError("no engine takes conv1");
                              }),
                   AgreedError);
    });
}

TEST(Plans, StandInTheRunRecordWhereThereAreAny) {
  Choosy backend(3, false);
  RunRecord record;
  record_plans(backend, record);
  EXPECT_TRUE(record.empty());
  backend.choose();
  record_plans(backend, record);
  EXPECT_EQ(recorded_plans(record), "conv1 engine 3");
}

TEST(Plans, MayBecomeMoreButNotOthers) {
  const RunRecord current{{"backend.plans", "conv1 engine 3\nconv2 engine 1\n"}};
  RunRecord fewer{{"backend.plans", "conv1 engine 3\n"}}, others{{"backend.plans", "conv1 engine 4\n"}};
  forgive_more_plans(fewer, current);
  forgive_more_plans(others, current);
  EXPECT_TRUE(compare_run_records(fewer, current).empty());
  EXPECT_FALSE(compare_run_records(others, current).empty());
}

}  // namespace
}  // namespace convoy
