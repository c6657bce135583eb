#pragma once
// Runs of a few seconds on a small data set, and what is left of them.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "processes.h"
#include "run_command.h"
#include "small_digits.h"

namespace convoy {

class SmallRuns {
 public:
  SmallRuns() {
    write_small_digits(path(), "train", 600);
    write_small_digits(path(), "t10k", 101);
    const Outcome made = convoy_with("data import --from=idx --input=" + path().string() + " --output=" +
                                     (path() / "data").string() + " --shards=3");
    EXPECT_EQ(made.status, 0) << made.err;
  }

  const std::filesystem::path& path() const { return folder_.path(); }
  std::filesystem::path runs() const { return path() / "runs"; }
  std::filesystem::path run(const std::string& name) const { return runs() / name; }
  /// Options of `convoy train`: dropout, momentum and crops, so that a wrong seed, slot or position changes the digest.
  std::string options(const std::string& name, int steps, int every_steps = 10) const {
    return "--runs=" + runs().string() + " --run=" + name + " --data.path=" + (path() / "data").string() +
           " --data.stage=none --data.pad=2 --model.name=mlp --model.dropout=0.3 --train.batch=40 --train.epochs=60"
           " --optim.rate=0.05 --device.threads=1 --checkpoint.every-steps=" + std::to_string(every_steps) +
           " --train.steps=" + std::to_string(steps);
  }
  /// Digest of the newest checkpoint.
  std::string digest(const std::string& name) const {
    const Outcome outcome = convoy_with("checkpoint show --format=json " + (run(name) / "checkpoints/latest").string());
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.status == 0 ? nlohmann::json::parse(outcome.out)["digest"].get<std::string>() : "none";
  }
  /// Digest of a run of so many steps that nothing interrupts, on one rank.
  std::string calm_digest(int steps) const {
    const Outcome outcome = convoy_with("train " + options("calm", steps));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return digest("calm");
  }
  /// Step of the newest checkpoint; 0: none.
  int newest_step(const std::string& name) const {
    int newest = 0;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(run(name) / "checkpoints", none)) {
      const std::string file = entry.path().filename().string();
      if (file.starts_with("step-") && file.ends_with(".h5")) newest = std::max(newest, std::stoi(file.substr(5)));
    }
    return newest;
  }
  std::vector<int> ranks(const std::string& name) const { return ranks_of(runs(), name); }

 private:
  TemporaryFolder folder_;
};

}  // namespace convoy
