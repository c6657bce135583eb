// What is said about made-up environments of launchers.
#include "launch/preflight.h"

#include <gtest/gtest.h>

#include <map>

#include "core/tensor/error.h"
#include "launch/expect_message.h"

namespace convoy {
namespace {

constexpr const char* kOpenMpi4 = "Open MPI v4.1.4";
constexpr const char* kOpenMpi5 = "Open MPI v5.0.8";
constexpr const char* kMpich = "MPICH Version: 4.0.2";
using Variables = std::map<std::string, std::string>;

Environment made_of(Variables variables) {
  return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
}

/// As SLURM sets them, by what was called.
Variables batch_script(const std::string& tasks, const std::string& nodes) {
  return {{"SLURM_JOB_ID", "17"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", tasks}, {"SLURM_JOB_NUM_NODES", nodes}};
}
Variables step(const std::string& tasks, Variables more = {}) {
  more.merge(Variables{{"SLURM_JOB_ID", "17"}, {"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", tasks},
                       {"SLURM_NTASKS", tasks}, {"SLURM_JOB_NUM_NODES", "2"}, {"SLURM_PROCID", "1"}});
  return more;
}

TEST(Preflight, RefusesTasksOfPlainSrunWhateverTheMpi) {
  for (const char* mpi : {kOpenMpi4, kOpenMpi5, kMpich})
    EXPECT_USAGE_ERROR(check_launch(made_of(step("4")), mpi), "4 tasks of SLURM job 17", "srun --mpi=pmix", "mpirun");
}

TEST(Preflight, RefusesASingleTaskOfPlainSrunOnlyWhereMpiWouldNotStart) {
  EXPECT_USAGE_ERROR(check_launch(made_of(step("1")), kOpenMpi4), "Open MPI v4.1.4", "Leave srun away", "srun --mpi=pmix");
  EXPECT_NO_THROW(check_launch(made_of(step("1")), kOpenMpi5));
  EXPECT_NO_THROW(check_launch(made_of(step("1")), kMpich));
}

TEST(Preflight, RefusesOneProcessInABatchScriptOfSeveralTasksOrNodes) {
  EXPECT_USAGE_ERROR(check_launch(made_of(batch_script("8", "2")), kOpenMpi4), "8 tasks on 2 nodes", "mpirun -n 1");
  Variables nodes_only = batch_script("", "2");
  nodes_only.erase("SLURM_NTASKS");
  EXPECT_USAGE_ERROR(check_launch(made_of(nodes_only), kOpenMpi4), "SLURM job 17 has 2 tasks on 2 nodes");
  EXPECT_NO_THROW(check_launch(made_of(batch_script("1", "1")), kOpenMpi4));
}

TEST(Preflight, AcceptsWhatMpirunAndPmixStarted) {
  EXPECT_NO_THROW(check_launch(made_of({}), kOpenMpi4));
  Variables explicit_one = batch_script("8", "2");
  explicit_one.merge(Variables{{"OMPI_COMM_WORLD_SIZE", "1"}, {"OMPI_COMM_WORLD_RANK", "0"}});
  EXPECT_NO_THROW(check_launch(made_of(explicit_one), kOpenMpi4));
  EXPECT_FALSE(launch_mismatch(made_of(explicit_one), 1, kOpenMpi4));
  const Environment pmix = made_of(step("4", {{"PMIX_RANK", "3"}}));
  EXPECT_NO_THROW(check_launch(pmix, kOpenMpi4));
  EXPECT_FALSE(launch_mismatch(pmix, 4, kOpenMpi4));
  // mpirun starts its daemons on other nodes by srun: their step has one task a node.
  const Environment daemon = made_of(step("2", {{"OMPI_COMM_WORLD_SIZE", "8"}, {"OMPI_COMM_WORLD_RANK", "5"}, {"PMIX_RANK", "5"}}));
  EXPECT_NO_THROW(check_launch(daemon, kOpenMpi4));
  EXPECT_FALSE(launch_mismatch(daemon, 8, kOpenMpi4));
}

TEST(Preflight, NamesTwoMpiInstallationsThatDoNotMeet) {
  const auto open_mpi = launch_mismatch(made_of({{"OMPI_COMM_WORLD_SIZE", "4"}}), 1, kMpich);
  ASSERT_TRUE(open_mpi);
  test::expect_parts(*open_mpi, {"Open MPI's mpirun started 4 ranks", kMpich, "world of 1"});
  const auto mpich = launch_mismatch(made_of({{"PMI_RANK", "2"}, {"PMI_SIZE", "3"}}), 1, kOpenMpi4);
  ASSERT_TRUE(mpich);
  test::expect_parts(*mpich, {"mpiexec of MPICH", "3 ranks", kOpenMpi4});
  const auto pmix = launch_mismatch(made_of(step("4", {{"PMIX_RANK", "0"}})), 1, kMpich);
  ASSERT_TRUE(pmix);
  test::expect_parts(*pmix, {"srun with PMIx started 4 ranks"});
}

TEST(Preflight, LetsRankZeroSpeakAsTheInnermostLauncherCountsThem) {
  EXPECT_TRUE(speaks_before_mpi(made_of({})));
  EXPECT_FALSE(speaks_before_mpi(made_of(step("4"))));
  EXPECT_TRUE(speaks_before_mpi(made_of(step("2", {{"OMPI_COMM_WORLD_RANK", "0"}}))));
}

TEST(Preflight, DescribesTheJobAndItsLife) {
  EXPECT_EQ(describe_job(made_of({})), "");
  EXPECT_EQ(describe_job(made_of({{"SLURM_JOB_ID", "17"}})), "SLURM job 17, life 0");
  EXPECT_EQ(describe_job(made_of({{"SLURM_JOB_ID", "17"}, {"SLURM_RESTART_COUNT", "2"}})), "SLURM job 17, life 2");
}

TEST(Preflight, CountsRanksPerHost) {
  EXPECT_EQ(describe_hosts({"a", "a", "b", "a"}), "4 ranks on 2 hosts (a: 3, b: 1)");
  std::vector<std::string> many;
  for (int host = 0; host < 10; ++host) many.push_back("n" + std::to_string(host));
  EXPECT_EQ(describe_hosts(many),
            "10 ranks on 10 hosts (n0: 1, n1: 1, n2: 1, n3: 1, n4: 1, n5: 1, n6: 1, n7: 1, and 2 more)");
}

}  // namespace
}  // namespace convoy
