#include "distributed/clock.h"

#include <array>
#include <limits>
#include <utility>

#include "core/trace/trace.h"

namespace convoy {
namespace {

constexpr int kAskTag = 0xc10c, kAnswerTag = 0xc10d;

}  // namespace

std::int64_t monotonic_ns() { return trace::now(); }

ClockOffset::ClockOffset(Communicator& communicator, Clock clock)
    : communicator_(communicator), clock_(std::move(clock)) {}

void ClockOffset::measure() {
  const int rank = communicator_.rank(), size = communicator_.size();
  int top = 1;
  while (top < size) top *= 2;
  // From the root down: whoever answers knows its own offset already.
  for (int distance = top / 2; distance >= 1; distance /= 2) {
    if (rank % (2 * distance) == distance) ask(rank - distance);
    if (rank % (2 * distance) == 0 && rank + distance < size) answer(rank + distance);
  }
}

void ClockOffset::answer(int child) {
  for (int round = 0; round < kRounds; ++round) {
    char question = 0;
    communicator_.receive(&question, sizeof question, child, kAskTag)->wait();
    const std::array<std::int64_t, 2> reply{aligned(clock_()), error_};
    communicator_.send(reply.data(), sizeof reply, child, kAnswerTag)->wait();
  }
}

void ClockOffset::ask(int parent) {
  std::int64_t shortest = std::numeric_limits<std::int64_t>::max();
  for (int round = 0; round < kRounds; ++round) {
    std::array<std::int64_t, 2> reply{};
    const char question = 0;
    const std::int64_t asked = clock_();
    communicator_.send(&question, sizeof question, parent, kAskTag)->wait();
    communicator_.receive(reply.data(), sizeof reply, parent, kAnswerTag)->wait();
    const std::int64_t trip = clock_() - asked;
    if (trip >= shortest) continue;
    shortest = trip;
    offset_ = asked + trip / 2 - reply[0];
    error_ = (trip + 1) / 2 + reply[1];
  }
}

}  // namespace convoy
