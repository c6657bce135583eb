// launch/slurm/train.sbatch in a real SLURM of two nodes that each test starts and stops.
#include "slurm_fixture.h"

namespace convoy {
namespace {

using Slurm = SlurmTest;
constexpr int kSteps = 120;

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
  const std::string job =
      submit_stand_in("kill -9 $$\n", "--ntasks=1", small_.options("futile", 10), "CONVOY_GIVE_UP_AFTER=2");
  ASSERT_TRUE(cluster_->start_again(job, 1)) << cluster_->story(job);
  ASSERT_TRUE(cluster_->ends(job)) << cluster_->story(job);
  EXPECT_EQ(cluster_->state(job), "FAILED");
  EXPECT_EQ(cluster_->field(job, "Restarts"), "1");
  test::expect_parts(cluster_->job_log(job), {"giving up after 2 lives without progress", "doctor " + small_.run("futile").string()});
}

TEST_F(Slurm, GivesTheDigestOfACalmRunInThreeLivesOfATwoMinuteJob) {
  constexpr int kManySteps = 1600;
  const std::string job = submit(kTwoNodes + " --time=2 --signal=B:USR2@95",
                                 small_.options("limited", kManySteps) + " '--inject=slow:rank=1,compute=50ms'");
  ASSERT_TRUE(cluster_->ends(job, std::chrono::seconds(420))) << cluster_->story(job);
  EXPECT_EQ(cluster_->state(job), "COMPLETED") << cluster_->story(job);
  EXPECT_GE(std::stoi(cluster_->field(job, "Restarts")), 2) << cluster_->story(job);
  EXPECT_EQ(small_.digest("limited"), small_.calm_digest(kManySteps));
}

/// A save of 132 s needs 30 + 2 * 132 = 294 of the job's 300 s, long before SLURM's own warning at 180 s.
TEST_F(Slurm, StopsALifeInTimeForTheSlowestSaveThatTheRunMeasured) {
  const std::string run = small_.run("slow").string();
  const std::string job = submit_stand_in(
      "trap 'touch " + run + "/checkpoints/step-00000007.h5; printf \"{\\n  \\\"status\\\": 75\\n}\\n\" > " + run +
          "/status.json; exit 75' USR2\nmkdir -p " + run + "/checkpoints\n"
          "echo '{\"kind\":\"checkpoint\",\"step\":5,\"bytes\":9,\"seconds\":2.5,\"stall_seconds\":0.1}\n"
          "{\"kind\":\"checkpoint\",\"step\":6,\"bytes\":9,\"seconds\":131.5,\"stall_seconds\":0.5}' > " + run +
          "/metrics.jsonl\nwhile :; do sleep 0.1; done\n",
      "--ntasks=1 --time=5", small_.options("slow", 10));
  const auto stopped = [&] { return cluster_->job_log(job).find("requeued; life 1") != std::string::npos; };
  ASSERT_TRUE(eventually(stopped)) << cluster_->story(job);
  test::expect_parts(cluster_->job_log(job), {"a stop needs 294 s", "save (132 s, of 2)", "asking the ranks to save and stop",
                                              "newest checkpoint is at step 7"});
}

TEST_F(Slurm, RefusesToTrainInWorldsOfOne) {
  const std::string train = std::string("'") + CONVOY_BINARY + "' train " + small_.options("alone", 10);
  const Outcome step = run_command("srun --ntasks=2 " + train);
  EXPECT_EQ(step.status, 2) << step.err;
  test::expect_parts(step.err, {"srun started 2 tasks", "srun --mpi=pmix"});
  EXPECT_EQ(step.err.find("Open MPI"), std::string::npos) << step.err;
  write_bytes(small_.path() / "job", "#!/bin/bash\n" + train + " && exit 9\n[ $? = 2 ] || exit 8\nOMPI_MCA_btl=tcp,self mpirun "
                                     "-q --allow-run-as-root -n 1 " + train + "\n");
  const Outcome batch = run_command("sbatch --wait " + kTwoNodes + " --output='" + (small_.path() / "log").string() + "' '" +
                                    (small_.path() / "job").string() + "'");
  EXPECT_EQ(batch.status, 0) << bytes_of(small_.path() / "log");
  test::expect_parts(bytes_of(small_.path() / "log"), {"2 tasks on 2 nodes", "1 ranks on 1 hosts", "done: 10 steps"});
}

}  // namespace
}  // namespace convoy
