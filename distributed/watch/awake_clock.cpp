#include "distributed/watch/awake_clock.h"

#include <algorithm>

namespace convoy {
namespace {

constexpr std::size_t kRemembered = 64;

}  // namespace

double AwakeClock::tick(std::int64_t now_ns) {
  const double gap = 1e-9 * static_cast<double>(now_ns - last_);
  last_ = now_ns;
  if (gap <= longest_gap_) return gap;
  absences_.push_back({now_ns, gap - longest_gap_});
  if (absences_.size() > kRemembered) absences_.pop_front();
  return longest_gap_;
}

double AwakeClock::seconds_since(std::int64_t since_ns) const {
  double seconds = 1e-9 * static_cast<double>(last_ - since_ns);
  for (const Absence& absence : absences_)
    if (absence.end > since_ns) seconds -= absence.seconds;
  return std::max(seconds, 0.0);
}

}  // namespace convoy
