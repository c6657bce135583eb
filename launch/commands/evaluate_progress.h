#pragma once
// How far an evaluation is, for whoever waits for it.
#include <chrono>
#include <cstdint>
#include <functional>

namespace convoy {

/// On stderr: on a terminal a line that is rewritten, elsewhere one every ten seconds. Of this rank's samples: all ranks have
/// as many, but for one unit.
class EvaluationProgress {
 public:
  EvaluationProgress(bool speaks, int ranks);
  /// For EvaluatorOptions::progress; empty on a rank that is silent. This object outlives it.
  std::function<void(std::int64_t done, std::int64_t share)> sink();

 private:
  using Clock = std::chrono::steady_clock;
  void show(std::int64_t done, std::int64_t share);

  bool speaks_, terminal_, line_open_ = false;
  int ranks_;
  Clock::time_point begin_, shown_;
};

}  // namespace convoy
