#pragma once
// The losses of two runs of one config on different arithmetic: instruction sets, devices, precisions.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace convoy {

/// Losses of a run with --train.log-every=1, step by step.
inline std::vector<double> losses_of(const std::filesystem::path& run) {
  std::vector<double> losses;
  std::ifstream file(run / "metrics.jsonl");
  for (std::string line; std::getline(file, line);) {
    const auto record = nlohmann::json::parse(line);
    if (record["kind"] == "train") losses.push_back(record["loss"]);
  }
  return losses;
}

/// How far rounding alone may carry two runs apart. `first` bounds the relative difference of the first step's losses, before
/// any difference was fed back. From then on a difference may grow: `all` bounds, relative to the first loss (a loss that
/// falls towards 0 has no scale of its own), every step.
struct LossBounds {
  double first = 1e-5, all = 0.02;
};

inline void expect_close_losses(const std::vector<double>& found, const std::vector<double>& expected, int steps,
                                const LossBounds& bounds, const std::string& what) {
  ASSERT_EQ(found.size(), static_cast<std::size_t>(steps)) << what;
  ASSERT_EQ(expected.size(), static_cast<std::size_t>(steps)) << what;
  EXPECT_NEAR(found[0], expected[0], bounds.first * expected[0]) << what << ": loss of the first step";
  double worst = 0;
  std::size_t where = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const double apart = std::abs(found[i] - expected[i]) / expected[0];
    if (!(apart <= worst)) worst = apart, where = i;
  }
  EXPECT_LE(worst, bounds.all) << what << ": step " << where + 1 << ", losses " << found[where] << " and " << expected[where];
  EXPECT_LT(expected.back(), 0.9 * expected.front()) << what << ": a run that learns nothing proves nothing";
}

}  // namespace convoy
