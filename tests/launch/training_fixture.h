#pragma once
// Training runs of a second or two on a small data set, under mpirun.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "processes.h"
#include "run_command.h"
#include "small_digits.h"

namespace convoy {

using nlohmann::json;

/// `base` with `extra` in place of what both give: convoy refuses an option that is given twice.
inline std::string with(const std::string& base, const std::string& extra) {
  const auto name = [](const std::string& option) { return option.substr(0, option.find('=')); };
  std::vector<std::string> replaced;
  std::istringstream extras(extra), bases(base);
  for (std::string option; extras >> option;) replaced.push_back(name(option));
  std::string line;
  for (std::string option; bases >> option;)
    if (std::find(replaced.begin(), replaced.end(), name(option)) == replaced.end()) line += option + " ";
  return line + extra;
}

class Training : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    write_small_digits(folder_->path(), "train", 600);
    write_small_digits(folder_->path(), "t10k", 101);
    const Outcome made = convoy_with("data import --from=idx --input=" + folder_->path().string() + " --output=" +
                                     (folder_->path() / "data").string() + " --shards=3");
    ASSERT_EQ(made.status, 0) << made.err;
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }

  /// `binary`: how convoy is called.
  static std::string command(const std::string& run, const std::string& options,
                             const std::string& binary = std::string("'") + CONVOY_BINARY + "'") {
    return binary + " train --runs=" + (folder_->path() / "runs").string() + " --run=" + run +
           (options.find("--data.path=") == std::string::npos ? " --data.path=" + (folder_->path() / "data").string() : "") +
           " --data.stage=none " + options;
  }
  static Outcome train(int ranks, const std::string& run, const std::string& options) {
    return run_command(std::string(CONVOY_MPIRUN) + " -n " + std::to_string(ranks) + " " + command(run, options));
  }
  static std::filesystem::path run_folder(const std::string& run) { return folder_->path() / "runs" / run; }
  static json shown(const std::string& run) {
    const Outcome outcome = convoy_with("checkpoint show --format=json " + (run_folder(run) / "checkpoints/latest").string());
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return json::parse(outcome.out);
  }
  static std::string digest(const std::string& run) { return shown(run)["digest"]; }
  static json status(const std::string& run) {
    std::ifstream file(run_folder(run) / "status.json");
    return file ? json::parse(file) : json();
  }

  static inline TemporaryFolder* folder_ = nullptr;
};

}  // namespace convoy
