#pragma once
// Evidence of runs that never were, for tests of the doctor.
#include <initializer_list>
#include <string>

#include "launch/doctor/evidence.h"

namespace convoy::test {

inline constexpr std::int64_t kSecond = 1'000'000'000;
inline constexpr std::int64_t kNow = 1'738'324'800 * kSecond;  // 2025-01-31 12:00:00 UTC

struct Thread {
  std::string name = "main";
  trace::Activity activity = trace::Activity::compute;
  std::string what = "conv1 conv";
  int peer = -1;
  double seconds = 0.01;  // since when, at the last copy
};

/// A rank that was last seen `ago` seconds before kNow.
struct RankNote {
  int rank = 0;
  double ago = 0;
  std::vector<Thread> threads = {Thread{}};
  std::string host = "n1";
  std::int64_t step = 37;
  bool finished = false;
};

inline RingReading ring_of(const RankNote& note, int size) {
  const std::int64_t clock = 5000 * kSecond;
  RingReading ring{.identity = {.rank = note.rank, .size = size, .pid = 4700 + note.rank, .host = note.host, .life = 1},
                   .finished = note.finished,
                   .began_ns = kNow - 900 * kSecond,
                   .last_copy_ns = kNow - static_cast<std::int64_t>(note.ago * 1e9),
                   .last_copy_clock = clock,
                   .step = {note.step, clock - kSecond},
                   .lanes = {}};
  for (const Thread& thread : note.threads) {
    const trace::Record record{.clock = clock - static_cast<std::int64_t>(thread.seconds * 1e9),
                               .step = note.step,
                               .bytes = 0,
                               .peer = thread.peer,
                               .activity = thread.activity,
                               .what = thread.what};
    ring.lanes.push_back({.thread = thread.name, .records = 1, .history = {record}});
  }
  return ring;
}

/// A run in runs/weekend, with nobody at work in it unless a test says so.
inline RunEvidence made_up_run(const std::vector<RankNote>& ranks) {
  RunEvidence evidence;
  evidence.run = "runs/weekend";
  evidence.now_ns = kNow;
  evidence.lock.state = LockState::free;
  evidence.life.mark = {.life = 1, .began = "2025-01-31T11:45:00Z", .step = 0};
  for (const RankNote& rank : ranks) evidence.life.rings.push_back(ring_of(rank, static_cast<int>(ranks.size())));
  evidence.checkpoints = {{.step = 30}, {.step = 20}};
  evidence.has_config = true;
  return evidence;
}

inline Thread waiting_for(int peer, double seconds, const std::string& thread = "communication") {
  return {.name = thread, .activity = trace::Activity::peer, .what = "gradient bucket 3", .peer = peer, .seconds = seconds};
}
inline Thread idle(const std::string& what = "waiting for the reduction", double seconds = 1) {
  return {.name = "main", .activity = trace::Activity::idle, .what = what, .seconds = seconds};
}

}  // namespace convoy::test
