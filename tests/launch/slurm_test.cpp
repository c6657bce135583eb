// launch/slurm/train.sbatch in a real SLURM of two nodes that each test starts and stops.
#include <gtest/gtest.h>

#include "expect_message.h"
#include "slurm_cluster.h"
#include "small_run.h"

namespace convoy {
namespace {

constexpr int kSteps = 120;
const std::string kTwoNodes = "--nodes=2 --ntasks-per-node=1";

class Slurm : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto obstacle = SlurmCluster::obstacle()) GTEST_SKIP() << *obstacle;
    cluster_.emplace();
  }
  /// The nodes share a host name, so that Open MPI would mistake them for one host with shared memory.
  std::string submit(const std::string& options, const std::string& arguments, const std::string& more = "") {
    return cluster_->submit("CONVOY_HOME='" CONVOY_SOURCE "' CONVOY='" CONVOY_BINARY "' " + more +
                                (more.find("srun") == more.npos ? " OMPI_MCA_btl=tcp,self" : ""),
                            options, arguments);
  }
  bool has_saved(const std::string& run, int step) {
    return eventually([&] { return small_.newest_step(run) >= step; });
  }
  static void warn(const std::string& job) { run_command("scancel --signal=USR2 --batch " + job); }

  SmallRuns small_;
  std::optional<SlurmCluster> cluster_;
};

TEST_F(Slurm, GivesTheDigestOfACalmRunAfterAWarningAndACrash) {
  const std::string job = submit(kTwoNodes, small_.options("lives", kSteps));
  ASSERT_TRUE(has_saved("lives", 10)) << cluster_->story(job);
  warn(job);
  ASSERT_TRUE(cluster_->start_again(job, 1)) << cluster_->story(job);
  const int before = small_.newest_step("lives");
  ASSERT_TRUE(has_saved("lives", before + 1)) << cluster_->story(job);
  const std::vector<int> ranks = small_.ranks("lives");
  ASSERT_FALSE(ranks.empty()) << cluster_->story(job);
  kill(ranks.back(), SIGKILL);
  ASSERT_TRUE(cluster_->start_again(job, 2)) << cluster_->story(job);
  ASSERT_TRUE(cluster_->ends(job)) << cluster_->story(job);
  EXPECT_EQ(cluster_->state(job), "COMPLETED") << cluster_->story(job);
  EXPECT_EQ(cluster_->field(job, "Restarts"), "2");
  EXPECT_EQ(small_.digest("lives"), small_.calm_digest(kSteps));
  test::expect_parts(cluster_->job_log(job), {"life 0 ended: 75", "s after the signal", "2 tasks on n[1-2]", "done at step 120"});
}

TEST_F(Slurm, RequeuesAndGoesOnUnderSrunToo) {
  const std::string job = submit(kTwoNodes, small_.options("srun", kSteps), "CONVOY_LAUNCHER=srun");
  ASSERT_TRUE(has_saved("srun", 10)) << cluster_->story(job);
  warn(job);
  ASSERT_TRUE(cluster_->start_again(job, 1)) << cluster_->story(job);
  ASSERT_TRUE(cluster_->ends(job)) << cluster_->story(job);
  EXPECT_EQ(small_.digest("srun"), small_.calm_digest(kSteps));
  test::expect_parts(cluster_->job_log(job), {"life 0 ended: 75", "[world] 2 ranks on ", "done at step 120"});
}

TEST_F(Slurm, MovesToAnotherNodeWhenItsOwnIsDrained) {
  const std::string job = submit("--nodes=1 --ntasks=2", small_.options("drained", kSteps));
  ASSERT_TRUE(has_saved("drained", 10)) << cluster_->story(job);
  const std::string node = cluster_->field(job, "NodeList");
  ASSERT_EQ(run_command("scontrol update nodename=" + node + " state=drain reason=test").status, 0);
  warn(job);
  ASSERT_TRUE(cluster_->start_again(job, 1)) << cluster_->story(job);
  ASSERT_TRUE(cluster_->ends(job)) << cluster_->story(job);
  EXPECT_EQ(cluster_->state(job), "COMPLETED") << cluster_->story(job);
  EXPECT_NE(cluster_->field(job, "NodeList"), node);
  EXPECT_EQ(small_.digest("drained"), small_.calm_digest(kSteps));
}

TEST_F(Slurm, LeavesACancelledJobCancelledAndItsRunUsable) {
  const std::string job = submit(kTwoNodes, small_.options("cancelled", kSteps));
  ASSERT_TRUE(has_saved("cancelled", 10)) << cluster_->story(job);
  run_command("scancel " + job);
  ASSERT_TRUE(eventually([&] { return run_command("squeue -h").out.empty(); }));
  EXPECT_EQ(cluster_->state(job), "CANCELLED") << cluster_->story(job);
  const std::string next = submit("--nodes=1 --ntasks=1", small_.options("cancelled", kSteps));
  ASSERT_TRUE(cluster_->ends(next)) << cluster_->story(next);
  EXPECT_EQ(cluster_->state(next), "COMPLETED") << cluster_->story(next);
  EXPECT_EQ(small_.digest("cancelled"), small_.calm_digest(kSteps));
}

TEST_F(Slurm, EndsTheJobOnABadConfig) {
  const std::string job = submit("--nodes=1 --ntasks=2", "--optim.rte=1 " + small_.options("config", 10));
  ASSERT_TRUE(cluster_->ends(job)) << cluster_->story(job);
  EXPECT_EQ(cluster_->state(job), "FAILED");
  EXPECT_EQ(cluster_->field(job, "ExitCode"), "2:0");
  EXPECT_EQ(cluster_->field(job, "Restarts"), "0");
  test::expect_parts(cluster_->job_log(job), {"optim.rte", "not requeueing"});
}

TEST_F(Slurm, GivesUpAfterLivesWithoutProgress) {
  const auto stand_in = small_.path() / "stand-in";
  write_bytes(stand_in, "#!/bin/bash\nkill -9 $$\n");
  std::filesystem::permissions(stand_in, std::filesystem::perms::owner_all);
  const std::string job = cluster_->submit("CONVOY_HOME='" CONVOY_SOURCE "' CONVOY_GIVE_UP_AFTER=2 CONVOY='" + stand_in.string() + "'",
                                           "--ntasks=1", small_.options("futile", 10));
  ASSERT_TRUE(cluster_->start_again(job, 1)) << cluster_->story(job);
  ASSERT_TRUE(cluster_->ends(job)) << cluster_->story(job);
  EXPECT_EQ(cluster_->state(job), "FAILED");
  EXPECT_EQ(cluster_->field(job, "Restarts"), "1");
  test::expect_parts(cluster_->job_log(job), {"giving up after 2 lives without progress"});
}

}  // namespace
}  // namespace convoy
