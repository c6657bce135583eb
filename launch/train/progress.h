#pragma once
// What the user sees while a run trains: one line that is rewritten on a terminal, plain lines elsewhere.
#include <chrono>
#include <cstdint>
#include <string>

#include "launch/train/slow_ranks.h"

namespace convoy {

/// Sums since the last record.
struct Interval {
  std::int64_t steps = 0;
  std::int64_t overflows = 0;             // steps besides: not applied, the scaled gradient was not finite
  double loss = 0, weight = 0, top1 = 0;  // sums over samples
  double seconds = 0;
  double data_wait = 0, communication_wait = 0;  // seconds
};

/// Where the run stands after a step.
struct Standing {
  std::int64_t step = 0, last_step = 0;   // steps done, of so many
  double epoch = 0, epochs = 0;
  double rate = 0;
  std::int64_t batch = 0;
  double loss_scale = 1;                  // of the last step; 1 without loss scaling
  int world_size = 1;
  std::size_t booked_bytes = 0;           // StepEngine::memory_bytes() of rank 0
};

class Progress {
 public:
  /// Speaks only on rank 0. `every`: steps between plain lines and between records. `speaker`: stands in every line, and none is
  /// rewritten, where several speak at once; empty: nobody else does.
  Progress(bool speaks, std::int64_t every, const std::string& speaker = "");
  /// Adds a step; true when a record is due.
  void add(double loss, double weight, double top1, double data_wait, double communication_wait);
  /// A step whose scaled gradient was not finite, so that it was not applied.
  void add_overflow() { ++interval_.overflows, ++overflows_; }
  /// All of them.
  std::int64_t overflows() const { return overflows_; }
  bool due(const Standing& standing) const;
  /// The record of the interval as one JSON line for metrics.jsonl; prints its line; begins a new interval.
  std::string record(const Standing& standing, const StragglerReport& stragglers);
  /// On a terminal, refreshes the line at most five times a second.
  void refresh(const Standing& standing);
  /// A line of its own, "[train] ...", without tearing the progress line.
  void say(const std::string& who, const std::string& text);
  /// Time spent outside steps (evaluation, checkpoints) does not count as training.
  void pause();
  void go_on();
  /// Forgets the interval: the run stands at an earlier step.
  void restart();

 private:
  using Clock = std::chrono::steady_clock;
  bool speaks_, terminal_, line_open_ = false;
  std::int64_t every_;
  std::string speaker_;  // "" or "member 3, "
  Interval interval_;
  std::int64_t overflows_ = 0;
  Clock::time_point begin_, shown_, paused_;

  std::string slow_;  // the newest record's word about slow ranks

  std::string line(const Standing& standing, double seconds) const;
  void clear_line();
};

}  // namespace convoy
