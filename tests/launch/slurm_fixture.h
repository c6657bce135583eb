#pragma once
// What the tests of launch/slurm/train.sbatch share: a cluster of two nodes and a small data set.
#include <gtest/gtest.h>

#include "expect_message.h"
#include "slurm_cluster.h"
#include "small_run.h"

namespace convoy {

inline const std::string kTwoNodes = "--nodes=2 --ntasks-per-node=1";

class SlurmTest : public testing::Test {
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
  /// A shell script in place of the binary.
  std::string submit_stand_in(const std::string& script, const std::string& options, const std::string& arguments,
                              const std::string& more = "") {
    const auto stand_in = small_.path() / "stand-in";
    write_bytes(stand_in, "#!/bin/bash\n" + script);
    std::filesystem::permissions(stand_in, std::filesystem::perms::owner_all);
    return cluster_->submit("CONVOY_HOME='" CONVOY_SOURCE "' " + more + " CONVOY='" + stand_in.string() + "'", options,
                            arguments);
  }
  bool has_saved(const std::string& run, int step) {
    return eventually([&] { return small_.newest_step(run) >= step; });
  }
  static void warn(const std::string& job) { run_command("scancel --signal=USR2 --batch " + job); }

  SmallRuns small_;
  std::optional<SlurmCluster> cluster_;
};

}  // namespace convoy
