// launch/'s scripts, with stand-ins for what they call.
#include <gtest/gtest.h>

#include "launch/expect_message.h"
#include "launch/run_command.h"

namespace convoy {
namespace {

/// A folder of stand-ins that comes first, or alone, in PATH.
class Scripts : public testing::Test {
 protected:
  Scripts() { std::filesystem::create_directory(bin()); }

  void add_tool(const std::string& name, const std::string& body) {
    write_bytes(bin() / name, "#!/bin/bash\n" + body);
    std::filesystem::permissions(bin() / name, std::filesystem::perms::owner_all);
  }
  /// dpkg-query knows all packages but `missing`; apt-get writes down what it is asked for.
  void add_debian(const std::string& missing) {
    add_tool("dpkg-query",
             "case \" " + missing + " \" in *\" ${@: -1} \"*) exit 1 ;; esac\nprintf installed\n");
    add_tool("apt-get", "echo \"$@\" >> '" + calls().string() + "'\n");
    add_tool("sudo", "\"$@\"\n");
  }
  Outcome run(const std::string& script) {
    return run_command("PATH='" + bin().string() + "':$PATH bash '" + CONVOY_SOURCE + "/launch/" + script);
  }
  std::filesystem::path bin() const { return folder_.path() / "bin"; }
  std::filesystem::path calls() const { return folder_.path() / "calls"; }

 private:
  TemporaryFolder folder_;
};

TEST_F(Scripts, SetupDoesNothingWhereNothingIsMissing) {
  add_debian("");
  const Outcome outcome = run("setup' --benchmarks");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(lines_in(outcome.out), 1) << outcome.out;
  EXPECT_FALSE(std::filesystem::exists(calls()));
}

TEST_F(Scripts, SetupInstallsOnlyWhatIsMissing) {
  add_debian("libpng-dev ninja-build");
  const Outcome outcome = run("setup'");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  const std::string asked = bytes_of(calls());
  test::expect_parts(asked, {"update", "--no-install-recommends ninja-build libpng-dev\n"});
}

TEST_F(Scripts, SetupOnlySaysSoOnADryRun) {
  add_debian("libpng-dev");
  const Outcome outcome = run("setup' --dry-run");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  test::expect_parts(outcome.out, {"would install: libpng-dev"});
  EXPECT_FALSE(std::filesystem::exists(calls()));
}

TEST_F(Scripts, SetupNamesThePartsOfNvidiasThatAreMissing) {
  add_debian("");
  const std::filesystem::path toolkit = bin().parent_path() / "toolkit";
  std::filesystem::create_directories(toolkit / "include");
  write_bytes(toolkit / "include/cudnn_graph.h", "");
  add_tool("nvcc", "case \"$1\" in -v) echo '#$ TOP=" + toolkit.string() + "' >&2 ;; "
                   "*) echo 'Cuda compilation tools, release 12.9, V12.9.1' ;; esac\n");
  const std::string alone = "env -u CUDACXX -u CUDA_HOME -u CUDA_PATH -u CUDNN_ROOT -u NCCL_ROOT ";
  const Outcome outcome = run_command(alone + "PATH='" + bin().string() + "':$PATH bash '" + CONVOY_SOURCE + "/launch/setup' --cuda");
  EXPECT_EQ(outcome.status, 1) << outcome.out;
  test::expect_parts(outcome.out, {"CUDA toolkit: 12.9", "cuBLASLt: cublasLt.h not found; part of the CUDA toolkit",
                                   "cuDNN 9: " + toolkit.string()});
}

TEST_F(Scripts, SetupFailsWhereInstallingFails) {
  add_debian("libpng-dev");
  add_tool("apt-get", "echo no network\nexit 100\n");
  const Outcome outcome = run("setup'");
  EXPECT_NE(outcome.status, 0);
  test::expect_parts(outcome.err, {"no network"});
}

TEST_F(Scripts, SetupInstallsBenchmarkPeersOnRequestOnly) {
  add_debian("python3-torch");
  EXPECT_EQ(lines_in(run("setup' --dry-run").out), 1);
  test::expect_parts(run("setup' --dry-run --benchmarks").out, {"would install: python3-torch"});
}

TEST_F(Scripts, SetupListsWhatIsMissingByRoleOnAnotherDistribution) {
  for (const char* tool : {"bash", "dirname", "sed", "cut", "env"}) {
    const Outcome found = run_command(std::string("command -v ") + tool);
    std::filesystem::create_symlink(found.out.substr(0, found.out.find('\n')), bin() / tool);
  }
  const Outcome outcome =
      run_command("PATH='" + bin().string() + "' exec bash '" + CONVOY_SOURCE + "/launch/setup'");
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  test::expect_parts(outcome.out, {"no Debian", "oneDNN", "(Debian: libdnnl-dev)", "MPI"});
}

TEST_F(Scripts, EveryScriptRejectsAnUnknownOptionWithTwo) {
  for (const char* script : {"launch/setup", "launch/quickstart", "launch/mpirun-train", "tests/run"}) {
    const Outcome outcome = run_command(std::string("'") + CONVOY_SOURCE + "/" + script + "' --no-such-option");
    EXPECT_EQ(outcome.status, 2) << script;
    EXPECT_EQ(run_command(std::string("'") + CONVOY_SOURCE + "/" + script + "' --help").status, 0) << script;
  }
}

}  // namespace
}  // namespace convoy
