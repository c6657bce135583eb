// One requeue in a real SLURM of two nodes; restart_test holds the longer ones.
#include "slurm_fixture.h"

namespace convoy {
namespace {

using SlurmWarning = SlurmTest;

TEST_F(SlurmWarning, RequeuesTheJobAndTheDigestIsThatOfACalmRun) {
  constexpr int kSteps = 60;
  const std::string job = submit(kTwoNodes, small_.options("warned", kSteps) + " '--inject=slow:rank=0,compute=20ms'");
  ASSERT_TRUE(has_saved("warned", 10)) << cluster_->story(job);
  warn(job);
  ASSERT_TRUE(cluster_->ends(job)) << cluster_->story(job);
  EXPECT_EQ(cluster_->state(job), "COMPLETED") << cluster_->story(job);
  EXPECT_EQ(cluster_->field(job, "Restarts"), "1") << cluster_->story(job);
  EXPECT_EQ(small_.digest("warned"), small_.calm_digest(kSteps));
  test::expect_parts(cluster_->job_log(job), {"life 0 ended: 75", "SLURM job " + job + ", life 1", "done at step 60"});
}

}  // namespace
}  // namespace convoy
