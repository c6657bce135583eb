#pragma once
// How a polling wait spends its time.
#include <chrono>

namespace convoy {

/// Spins for a few tens of microseconds (a message between two cores takes about one), then gives the core
/// away, then sleeps: more ranks than cores must not starve the one that everybody waits for (measured with 4
/// ranks on 2 cores: busy waiting doubles the time of the rank that computes).
class Backoff {
 public:
  Backoff();
  /// One pause, of the length that suits the time waited so far.
  void pause();
  std::chrono::nanoseconds waited() const;

 private:
  std::chrono::steady_clock::time_point start_;
};

}  // namespace convoy
