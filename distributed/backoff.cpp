#include "distributed/backoff.h"

#include <algorithm>
#include <thread>

namespace convoy {
namespace {

using std::chrono::microseconds;
constexpr microseconds kSpin{30};
constexpr microseconds kYield{300};
constexpr microseconds kLongestSleep{200};

}  // namespace

Backoff::Backoff() : start_(std::chrono::steady_clock::now()) {}

std::chrono::nanoseconds Backoff::waited() const { return std::chrono::steady_clock::now() - start_; }

void Backoff::pause() {
  const auto so_far = waited();
  if (so_far < kSpin) return;
  if (so_far < kYield) {
    std::this_thread::yield();
    return;
  }
  // A sixteenth of the time waited: late by at most that much.
  std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(so_far / 16, kLongestSleep));
}

}  // namespace convoy
