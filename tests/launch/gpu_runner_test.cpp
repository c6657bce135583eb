// tests/run --gpu with stand-ins for the tests: it must count what fails, and what ends without a word.
#include <gtest/gtest.h>

#include "launch/expect_message.h"
#include "launch/run_command.h"

namespace convoy {
namespace {

/// A folder as launch/bundle --tests makes it, but for the programs.
class GpuRunner : public testing::Test {
 protected:
  GpuRunner() {
    for (const char* folder : {"bin", "libexec/tests", "launch", "tests"}) std::filesystem::create_directories(root() / folder);
    for (const char* file : {"launch/lib.sh", "tests/run", "tests/gpu.sh"})
      std::filesystem::copy_file(std::filesystem::path(CONVOY_SOURCE) / file, root() / file);
    std::filesystem::copy_file(std::filesystem::path(CONVOY_SOURCE) / "launch/bundled/environment.sh", root() / "bin/environment.sh");
    for (const char* program : {"bin/convoy", "bin/mpirun", "libexec/convoy"}) add(program, "exit 0");
  }
  void add(const std::string& program, const std::string& body) {
    write_bytes(root() / program, "#!/bin/bash\n" + body + "\n");
    std::filesystem::permissions(root() / program, std::filesystem::perms::owner_all);
  }
  /// A test program with so many tests, failures and skipped tests; `note`: which shard of how many it was.
  static std::string reports(int tests, int failures, int skipped) {
    std::string cases;
    for (int i = 0; i < skipped; ++i)
      cases += "<testcase name='t' result=\"skipped\"><skipped message=\"a_test.cpp:7&#x0A;no device here\" /></testcase>\n";
    return "echo \"$GTEST_SHARD_INDEX of $GTEST_TOTAL_SHARDS\" >>shards\nfor word in \"$@\"; do case $word in "
           "--gtest_output=xml:*) file=${word#--gtest_output=xml:} ;; esac; done\ncat >\"$file\" <<'END'\n"
           "<testsuites tests=\"" + std::to_string(tests) + "\" failures=\"" + std::to_string(failures) + "\">\n" + cases +
           "</testsuites>\nEND";
  }
  Outcome run(const std::string& options) {
    return run_command("env -u CONVOY_EXPECT_DEVICE tests/run --gpu " + options, root());
  }
  static std::string last_line(const Outcome& outcome) {
    return outcome.out.substr(outcome.out.rfind('\n', outcome.out.size() - 2) + 1);
  }
  std::filesystem::path root() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

TEST_F(GpuRunner, CountsWhatPassesFailsAndIsSkipped) {
  if (std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "this machine has a device: more would run";
  add("libexec/tests/gpu_parity_test", reports(3, 1, 1));   // four shards of it
  add("libexec/tests/gpu_command_test", reports(2, 0, 0));
  const Outcome outcome = run("");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(last_line(outcome), "6 passed, 4 failed, 5 skipped\n") << outcome.out;
  test::expect_parts(outcome.out, {"skipped: 4 tests: no device here"});
}

TEST_F(GpuRunner, CountsATestProgramThatCrashesAsAFailure) {
  add("libexec/tests/gpu_parity_test", "kill -SEGV $$");
  add("libexec/tests/gpu_command_test", reports(2, 0, 0));
  const Outcome outcome = run("");
  EXPECT_EQ(outcome.status, 1);
  test::expect_parts(last_line(outcome), {"2 passed, 4 failed"});
}

TEST_F(GpuRunner, DealsEveryShardOutToOnePart) {
  add("libexec/tests/gpu_parity_test", reports(1, 0, 0));
  add("libexec/tests/gpu_command_test", "exec \"$(dirname \"$0\")/gpu_parity_test\" \"$@\"");
  for (int part = 1; part <= 3; ++part) EXPECT_EQ(run("--part=" + std::to_string(part) + "/3").status, 0);
  const std::string shards = bytes_of(root() / "shards");
  EXPECT_EQ(lines_in(shards), 3 * (4 + 1)) << shards;
  for (int shard = 0; shard < 12; ++shard) {
    const std::string line = std::to_string(shard) + " of 12\n";
    EXPECT_TRUE(("\n" + shards).find("\n" + line) != std::string::npos) << line << shards;
  }
  for (int shard = 0; shard < 3; ++shard)
    EXPECT_TRUE(("\n" + shards).find("\n" + std::to_string(shard) + " of 3\n") != std::string::npos) << shards;
}

TEST_F(GpuRunner, SaysWhatIsMissingWhereNothingWasUnpacked) {
  std::filesystem::remove(root() / "libexec/convoy");
  const Outcome outcome = run("");
  EXPECT_EQ(outcome.status, 2);
  test::expect_parts(outcome.err, {"build/release/convoy", "launch/bundle --tests"});
}

TEST_F(GpuRunner, RejectsPartsThatAreNone) {
  for (const char* part : {"0/2", "3/2", "1", "a/b", "1/"}) EXPECT_EQ(run(std::string("--part=") + part).status, 2) << part;
}

}  // namespace
}  // namespace convoy
