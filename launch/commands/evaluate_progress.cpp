#include "launch/commands/evaluate_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace convoy {
namespace {

constexpr std::chrono::milliseconds kRefresh{200}, kBetweenLines{10000};

}  // namespace

EvaluationProgress::EvaluationProgress(bool speaks, int ranks)
    : speaks_(speaks), terminal_(speaks && isatty(STDERR_FILENO) == 1), ranks_(ranks), begin_(Clock::now()), shown_(begin_) {}

std::function<void(std::int64_t, std::int64_t)> EvaluationProgress::sink() {
  if (!speaks_) return {};
  return [this](std::int64_t done, std::int64_t share) { show(done, share); };
}

void EvaluationProgress::show(std::int64_t done, std::int64_t share) {
  const Clock::time_point now = Clock::now();
  if (done == share) {
    if (line_open_) fmt::print(stderr, "\r\033[K");
    return;
  }
  if (now - shown_ < (terminal_ ? kRefresh : kBetweenLines)) return;
  shown_ = now;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  const double left = seconds * static_cast<double>(share - done) / static_cast<double>(done);
  fmt::print(stderr, "{}[evaluate] {} of {} samples{}, about {:.0f} s left{}", terminal_ ? "\r\033[K" : "", done, share,
             ranks_ > 1 ? " of rank 0" : "", left, terminal_ ? "" : "\n");
  std::fflush(stderr);
  line_open_ = terminal_;
}

}  // namespace convoy
