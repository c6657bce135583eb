// kill -9 at random: a rank, mpirun, rank 0 while it saves, an importer. No run may be lost and no bit may change.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <optional>
#include <random>
#include <set>

#include "small_run.h"

namespace convoy {
namespace {

using Clock = std::chrono::steady_clock;
using Random = std::mt19937_64;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// In [0, below): the same on every standard library, unlike std::uniform_int_distribution.
int draw(Random& random, int below) { return static_cast<int>(random() % static_cast<std::uint64_t>(below)); }

/// A command in the background, its output in a file.
class Background {
 public:
  Background(const std::string& command, const std::filesystem::path& output) {
    pid_ = fork();
    if (pid_ != 0) return;
    const int file = open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    execl("/bin/bash", "bash", "-c", ("exec " + command + " </dev/null").c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  ~Background() {
    if (running()) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  int pid() const { return pid_; }
  bool running() {
    if (!ended_ && waitpid(pid_, &raw_, WNOHANG) == pid_) ended_ = true;
    return !ended_;
  }
  /// -1: still running after the limit; 128 + signal as shells say it.
  int status(std::chrono::seconds limit) {
    if (!eventually([&] { return !running(); }, limit)) return -1;
    return WIFEXITED(raw_) ? WEXITSTATUS(raw_) : 128 + WTERMSIG(raw_);
  }

 private:
  pid_t pid_ = 0;
  int raw_ = 0;
  bool ended_ = false;
};

/// Names of checkpoints in the making, and of those that earlier lives left behind.
std::set<std::string> temporaries(const std::filesystem::path& folder) {
  std::set<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none))
    if (std::string name = entry.path().filename().string(); name.ends_with(".convoy-tmp")) names.insert(std::move(name));
  return names;
}

bool holds_new(const std::set<std::string>& now, const std::set<std::string>& before) {
  return !std::includes(before.begin(), before.end(), now.begin(), now.end());
}

/// One run after another, each started again and again on a random number of ranks until it is done.
class KilledTraining {
 public:
  KilledTraining(std::uint64_t seed, int kills) : random_(seed), wanted_(kills) {}

  void run() {
    const std::string calm = small_.calm_digest(kSteps);
    while (kills() < wanted_ && !testing::Test::HasFailure()) {
      const std::string name = fmt::format("killed-{}", ++runs_);
      // Once the last kill is spent, the run still has to end.
      while (!is_done(name) && !testing::Test::HasFailure()) live(name);
      if (testing::Test::HasFailure()) return;
      EXPECT_EQ(small_.digest(name), calm) << name;
    }
  }
  std::string summary() const {
    return fmt::format("{} runs in {} lives; killed: {} ranks, {} mpiruns, {} while saving", runs_, lives_, ranks_, mpiruns_,
                       saving_);
  }

 private:
  static constexpr int kSteps = 240;
  enum class Kind { rank, mpirun, saving };

  int kills() const { return ranks_ + mpiruns_ + saving_; }

  bool is_done(const std::string& name) const {
    const std::string status = bytes_of(small_.run(name) / "status.json");
    return !status.empty() && nlohmann::json::parse(status)["status"] == 0;
  }

  void live(const std::string& name) {
    const int ranks = 1 + draw(random_, 3);
    const Kind kind = static_cast<Kind>(draw(random_, 3));
    const auto output = small_.path() / "life.log";
    ++lives_;
    Background mpirun(fmt::format("{} -n {} '{}' train {} --resume=latest", CONVOY_MPIRUN, ranks,
                                  CONVOY_BINARY, small_.options(name, kSteps, 5)),
                      output);
    const bool killed = kills() < wanted_ && kill_one(kind, name, ranks, mpirun);
    const int status = mpirun.status(std::chrono::seconds(120));
    EXPECT_NE(status, -1) << name << " hangs after a kill\n" << bytes_of(output);
    EXPECT_TRUE(killed || status == 0) << name << " is lost: " << status << "\n" << bytes_of(output);
    // Ranks may outlive a killed mpirun by moments and hold the run folder; scripts wait for that lock likewise.
    EXPECT_TRUE(eventually([&] { return small_.ranks(name).empty(); })) << name << ": ranks outlive their mpirun";
  }

  /// False where the life ended before the moment came.
  bool kill_one(Kind kind, const std::string& name, int ranks, Background& mpirun) {
    const auto end = Clock::now() + std::chrono::milliseconds(draw(random_, 2500));
    const auto folder = small_.run(name) / "checkpoints";
    const int before = small_.newest_step(name), more = draw(random_, 60);
    const int choice = draw(random_, ranks);
    const std::set<std::string> leftovers = temporaries(folder);
    if (kind == Kind::saving) {  // between the temporary's making and its rename, in a save of this life
      while (mpirun.running() && !(small_.newest_step(name) >= before + more && holds_new(temporaries(folder), leftovers))) usleep(100);
    } else {  // any time from the start on, or after so many steps
      while (mpirun.running() && Clock::now() < end && small_.newest_step(name) < before + more + 1) usleep(2000);
    }
    if (!mpirun.running()) return false;
    const std::vector<int> pids = small_.ranks(name);
    if (kind == Kind::mpirun || pids.empty()) return count(kill(mpirun.pid(), SIGKILL), mpiruns_);
    const std::size_t victim = kind == Kind::saving ? 0 : static_cast<std::size_t>(choice) % pids.size();
    return count(kill(pids[victim], SIGKILL), kind == Kind::saving ? saving_ : ranks_);
  }
  static bool count(int error, int& counter) {
    if (error == 0) ++counter;
    return error == 0;
  }

  Random random_;
  SmallRuns small_;
  int wanted_, runs_ = 0, lives_ = 0, ranks_ = 0, mpiruns_ = 0, saving_ = 0;
};

/// An import, again and again into one folder.
class KilledImport {
 public:
  explicit KilledImport(std::uint64_t seed) : random_(seed) {
    write_small_digits(folder_.path(), "train", 12000);
    write_small_digits(folder_.path(), "t10k", 2000);
    const auto begin = Clock::now();
    EXPECT_EQ(run_command(import_into("calm")).status, 0);
    duration_ = Clock::now() - begin;
    calm_ = info_of("calm");
  }

  void run(int kills) {
    for (int run = 0; kills_ < kills && !testing::Test::HasFailure(); ++run) {
      const std::string name = fmt::format("import-{}", run);
      std::optional<int> status;
      while (status != 0 && !testing::Test::HasFailure()) status = import(name, kills);
      EXPECT_EQ(info_of(name), calm_) << name;
      std::filesystem::remove_all(folder_.path() / name);
    }
  }
  int kills() const { return kills_; }

 private:
  std::string import_into(const std::string& name) const {
    return fmt::format("'{}' data import --from=idx --input={} --output={} --shards=3", CONVOY_BINARY, folder_.path().string(),
                       (folder_.path() / name).string());
  }
  std::string info_of(const std::string& name) const {
    const Outcome outcome = convoy_with("data info --format=json " + (folder_.path() / name).string());
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    std::string text = outcome.out;  // everything but the folder's own name
    for (std::size_t at; (at = text.find("/" + name)) != text.npos;) text.erase(at, name.size() + 1);
    return text;
  }
  /// 137 where it was killed in time.
  int import(const std::string& name, int kills) {
    const auto output = folder_.path() / "import.log";
    Background importer(import_into(name), output);
    if (kills_ < kills) {
      const auto span = std::chrono::duration_cast<std::chrono::microseconds>(duration_).count();
      usleep(static_cast<useconds_t>(random_() % static_cast<std::uint64_t>(span)));
      if (importer.running() && kill(importer.pid(), SIGKILL) == 0) ++kills_;
    }
    const int status = importer.status(std::chrono::seconds(120));
    // Killed between its last word on disk and its end, an import is complete: the next one refuses to replace it.
    if (status == kRefused && is_complete(name)) return 0;
    EXPECT_TRUE(status == 0 || status == 137) << status << ": " << bytes_of(output);
    return status;
  }
  bool is_complete(const std::string& name) const {
    return convoy_with("data info " + (folder_.path() / name).string()).status == 0 && info_of(name) == calm_;
  }

  static constexpr int kRefused = 2;
  Random random_;
  TemporaryFolder folder_;
  Clock::duration duration_{};
  std::string calm_;
  int kills_ = 0;
};

const std::uint64_t kSeed = number_from("CONVOY_TEST_SEED", 1), kScale = number_from("CONVOY_TEST_SCALE", 1);

TEST(Kill, LosesNoRunAndChangesNoBit) {
  KilledTraining training(kSeed, static_cast<int>(7 * kScale));
  training.run();
  fmt::print("{}; CONVOY_TEST_SEED={}\n", training.summary(), kSeed);
}

TEST(Kill, LosesNoImport) {
  KilledImport import(kSeed);
  import.run(static_cast<int>(3 * kScale));
  EXPECT_EQ(import.kills(), static_cast<int>(3 * kScale));
  fmt::print("{} imports killed; CONVOY_TEST_SEED={}\n", import.kills(), kSeed);
}

}  // namespace
}  // namespace convoy
