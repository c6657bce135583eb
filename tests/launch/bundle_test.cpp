// launch/bundle: what it packs runs elsewhere, from nothing but its own files.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "launch/expect_message.h"
#include "launch/run_command.h"
#include "launch/small_digits.h"

namespace convoy {
namespace {

constexpr int kLimitSeconds = 300;

/// The build's bundle with its tests, unpacked in a folder of its own.
class Bundle : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    const std::string tar = (folder_->path() / "convoy.tar.gz").string();
    const Outcome made = run_command(std::string("'") + CONVOY_SOURCE + "/launch/bundle' --tests --build='" + CONVOY_BUILD +
                                     "' --output='" + tar + "'", ".", kLimitSeconds);
    ASSERT_EQ(made.status, 0) << made.out << made.err;
    size_bytes_ = std::filesystem::file_size(tar);
    ASSERT_EQ(run_command("mkdir 'un packed' && tar -xzf '" + tar + "' -C 'un packed' --strip-components=1", folder_->path()).status, 0);
    std::filesystem::remove(tar);
    write_small_digits(folder_->path(), "train", 600);
    write_small_digits(folder_->path(), "t10k", 101);
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  /// A folder with a blank in its name: whoever unpacks chooses.
  static std::filesystem::path root() { return folder_->path() / "un packed"; }
  /// A line of sh that knows no variable of ours.
  static Outcome bare(const std::string& line, int limit_seconds = 120) {
    return run_command("env -i TMPDIR='" + folder_->path().string() + "' /bin/sh -c '" + line + "'", root(), limit_seconds);
  }
  static std::string import() {
    return "bin/convoy data import --from=idx --input=.. --output=../data --shards=2 --overwrite";
  }
  static std::string train(const std::string& run) {
    return "bin/mpirun -q --allow-run-as-root --oversubscribe --bind-to none -n 2 bin/convoy train --data.path=../data "
           "--data.stage=none --model.name=mlp --train.batch=40 --train.steps=20 --train.epochs=5 --device=cpu "
           "--device.threads=1 --runs=../runs --run=" + run;
  }
  static std::string digest(const Outcome& shown) {
    EXPECT_EQ(shown.status, 0) << shown.err;
    return shown.status == 0 ? nlohmann::json::parse(shown.out)["digest"].get<std::string>() : "none";
  }
  static std::string show(const std::string& run) { return "checkpoint show --format=json ../runs/" + run + "/checkpoints/latest"; }

  static inline TemporaryFolder* folder_ = nullptr;
  static inline std::uintmax_t size_bytes_ = 0;
};

TEST_F(Bundle, IsSmallAndSaysWhatItHolds) {
  EXPECT_LT(size_bytes_, std::uintmax_t{64} << 20);
  const std::string contents = bytes_of(root() / "CONTENTS");
  test::expect_parts(contents, {"commit ", "needs glibc 2.", "libmpi.so", "libhdf5", "libdnnl"});
  EXPECT_EQ(contents.find("libcudart"), std::string::npos);
  EXPECT_EQ(contents.find("libc.so"), std::string::npos);
}

TEST_F(Bundle, FindsNoLibraryOfItsOwnElsewhere) {
  std::istringstream contents(bytes_of(root() / "CONTENTS"));
  for (std::string library; std::getline(contents, library);) {
    if (!library.starts_with("lib") || library.find(".so") == std::string::npos) continue;
    EXPECT_TRUE(std::filesystem::exists(root() / "lib" / library)) << library;
  }
  const Outcome outcome = bare("for f in libexec/convoy libexec/orterun lib/*.so* lib/*/*.so; do ldd \"$f\"; done");
  EXPECT_EQ(outcome.out.find("not found"), std::string::npos) << outcome.out;
  std::istringstream lines(outcome.out);
  for (std::string name, arrow, path, rest; lines >> name;) {
    std::getline(lines, rest);
    std::istringstream words(rest);
    if (!(words >> arrow >> path) || arrow != "=>" || !std::filesystem::exists(root() / "lib" / name)) continue;
    EXPECT_NE(rest.find("un packed"), std::string::npos) << name << rest;
  }
}

TEST_F(Bundle, RunsInAnEmptyEnvironment) {
  const Outcome version = bare("bin/convoy version");
  EXPECT_EQ(version.status, 0) << version.err;
  test::expect_parts(version.out, {"convoy "});
  ASSERT_EQ(bare(import()).status, 0);
  const Outcome trained = bare(train("bare"));
  EXPECT_EQ(trained.status, 0) << trained.err;
  EXPECT_NE(digest(bare("bin/convoy " + show("bare"))), "none");
}

TEST_F(Bundle, StartsRanksWhereThereIsNoSsh) {
  std::filesystem::create_directory(folder_->path() / "tools");
  for (const char* tool : {"sh", "dirname", "readlink", "grep"}) {
    const Outcome found = run_command(std::string("command -v ") + tool);
    std::filesystem::create_symlink(found.out.substr(0, found.out.find('\n')), folder_->path() / "tools" / tool);
  }
  const Outcome outcome = run_command("env -i PATH='" + (folder_->path() / "tools").string() +
                                      "' bin/mpirun -q --allow-run-as-root --oversubscribe -n 2 bin/convoy version", root());
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(lines_in(outcome.out), 2) << outcome.out;
}

TEST_F(Bundle, GivesTheBitsOfTheBuildItWasMadeFrom) {
  ASSERT_EQ(bare(import()).status, 0);
  ASSERT_EQ(bare(train("packed")).status, 0);
  std::string line = train("built");
  for (const auto& [packed, built] : {std::pair<std::string, std::string>{"bin/mpirun", CONVOY_MPIEXEC},
                                      {"bin/convoy", std::string(CONVOY_BUILD) + "/convoy"}})
    line.replace(line.find(packed), packed.size(), built);
  const Outcome built = run_command(line, root());
  ASSERT_EQ(built.status, 0) << built.err;
  EXPECT_EQ(digest(bare("bin/convoy " + show("packed"))),
            digest(run_command(std::string("'") + CONVOY_BUILD + "/convoy' " + show("built"), root())));
}

TEST_F(Bundle, RunsWhereTheSystemHasNoneOfItsLibraries) {
  if (run_command("unshare -m true").status != 0) GTEST_SKIP() << "no mount namespaces here: what the system has cannot be hidden";
  ASSERT_EQ(bare(import()).status, 0);
  // Inside the namespace alone: the system's own copies become empty files and folders.
  const std::string hide =
      "for f in lib/*.so*; do for s in /usr/lib/*-linux-gnu /usr/lib/*-linux-gnu/*/lib; do t=\"$s/${f#lib/}\"; "
      "if [ -e \"$t\" ]; then mount --bind ../nothing \"$(readlink -f \"$t\")\" || exit 9; fi; done; done; "
      "for d in /usr/lib/*-linux-gnu/openmpi /usr/lib/*-linux-gnu/pmix2 /usr/share/openmpi /etc/openmpi; do "
      "if [ -d \"$d\" ]; then mount -t tmpfs none \"$d\" || exit 9; fi; done; ";
  write_bytes(folder_->path() / "nothing", "");
  write_bytes(folder_->path() / "hidden.sh", "set -u\n" + hide +
                                                 "ldd '" + CONVOY_BUILD + "/convoy' >/dev/null 2>&1; '" + CONVOY_BUILD +
                                                 "/convoy' version >/dev/null 2>&1 && exit 8\n" +
                                                 "bin/convoy version || exit 7\nexec " + train("hidden") + "\n");
  const Outcome outcome = run_command("exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin TMPDIR='" + folder_->path().string() +
                                      "' unshare -m /bin/sh ../hidden.sh", root(), 120);
  ASSERT_NE(outcome.status, 9) << "mounts are refused in the namespace: " << outcome.err;
  ASSERT_NE(outcome.status, 8) << "nothing was hidden: the build's own binary still starts";
  ASSERT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  ASSERT_EQ(bare(train("shown")).status, 0);
  EXPECT_EQ(digest(bare("bin/convoy " + show("hidden"))), digest(bare("bin/convoy " + show("shown"))));
}

TEST_F(Bundle, TestsForDevicesAreSkippedWithTheirReasonWhereThereIsNone) {
  if (std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "this machine has a device: tests/run --gpu is run by hand";
  const Outcome outcome = run_command("env -i PATH=/usr/bin:/bin HOME=/nonexistent tests/run --gpu --output=../proof", root(), kLimitSeconds);
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  test::expect_parts(outcome.out, {"skipped: ", " tests: "});
  const auto last = outcome.out.substr(outcome.out.rfind('\n', outcome.out.size() - 2) + 1);
  EXPECT_TRUE(last.starts_with("0 passed, 0 failed, ") && last.ends_with(" skipped\n")) << outcome.out;
}

}  // namespace
}  // namespace convoy
