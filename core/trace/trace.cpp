#include "core/trace/trace.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

namespace convoy::trace {
namespace {

using Word = std::atomic<std::uint64_t>;
constexpr auto kRelaxed = std::memory_order_relaxed;

// One lane, in words, so that any thread may read it while its owner writes:
//   [0]      records written; 0: nobody's
//   [1..2]   the thread's name
//   then kRecords records: clock, step, bytes, activity | (peer + 1) << 8, what (8 words)
// The block: step, the clock at which it began, then the lanes.
struct Block {
  Word step{static_cast<std::uint64_t>(-1)}, since{0};
  std::array<std::array<Word, kLaneWords>, kLanes> lanes{};
};
static_assert(sizeof(Block) == kBlockBytes);

Block block;
std::array<std::atomic<bool>, kLanes> taken{};

constexpr std::size_t kFirstRecord = 1 + kThreadBytes / 8;

void store_text(Word* words, std::size_t bytes, std::string_view text) {
  std::array<std::uint64_t, kWhatBytes / 8> raw{};
  std::memcpy(raw.data(), text.data(), std::min(text.size(), bytes));
  for (std::size_t i = 0; i < bytes / 8; ++i) words[i].store(raw[i], kRelaxed);
}

/// What this thread owns: its lane, and a copy of its newest record that needs no atomics.
struct Own {
  int lane = -1;
  bool asked = false;  // for a lane
  std::uint64_t records = 0;
  Activity activity = Activity::idle;
  int peer = -1;
  std::int64_t bytes = 0;
  std::size_t length = 0;
  char what[kWhatBytes] = {};

  ~Own() {
    if (lane < 0) return;
    block.lanes[static_cast<std::size_t>(lane)][0].store(0, std::memory_order_release);
    taken[static_cast<std::size_t>(lane)].store(false, std::memory_order_release);
    lane = -1;
  }
  Word* words();
};
thread_local Own own;

Word* Own::words() {
  if (!asked) {
    asked = true;
    for (std::size_t i = 0; i < kLanes && lane < 0; ++i) {
      if (taken[i].exchange(true, std::memory_order_acquire)) continue;
      lane = static_cast<int>(i);
      const std::string name = "thread " + std::to_string(i);
      store_text(&block.lanes[i][1], kThreadBytes, name);
    }
  }
  return lane < 0 ? nullptr : block.lanes[static_cast<std::size_t>(lane)].data();
}

std::string text_of(const std::uint64_t* words, std::size_t bytes) {
  char raw[kWhatBytes + 1] = {};
  std::memcpy(raw, words, bytes);
  std::string text(raw);
  // A file's bytes may be anything: no control characters reach a terminal.
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

Record record_of(const std::uint64_t* words) {
  Record record;
  record.clock = static_cast<std::int64_t>(words[0]);
  record.step = static_cast<std::int64_t>(words[1]);
  record.bytes = static_cast<std::int64_t>(words[2]);
  record.activity = static_cast<Activity>(std::min<std::uint64_t>(words[3] & 0xff, kActivities - 1));
  record.peer = static_cast<int>((words[3] >> 8) & 0xffffffff) - 1;
  record.what = text_of(words + 4, kWhatBytes);
  return record;
}

/// `before` and `after`: records written, read before and after the words. The slots that were overwritten meanwhile,
/// or are being overwritten now, are left out.
Lane lane_of(const std::uint64_t* words, std::uint64_t before, std::uint64_t after) {
  Lane lane;
  lane.records = before;
  lane.thread = text_of(words + 1, kThreadBytes);
  const std::uint64_t oldest = before > kRecords ? before - kRecords : 0;
  for (std::uint64_t i = oldest; i < before; ++i) {
    if (i + kRecords <= after) continue;
    lane.history.push_back(record_of(words + kFirstRecord + (i % kRecords) * kRecordWords));
  }
  return lane;
}

}  // namespace

std::string_view name_of(Activity activity) {
  constexpr std::string_view kNames[] = {"idle", "start",  "input",      "compute",  "exchange",
                                         "peer", "update", "checkpoint", "evaluate", "end"};
  static_assert(std::size(kNames) == kActivities);
  return kNames[static_cast<std::size_t>(activity)];
}

std::int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

void name_thread(std::string_view name) {
  if (Word* words = own.words()) store_text(words + 1, kThreadBytes, name.substr(0, kThreadBytes));
}

void at_step(std::int64_t step) {
  block.since.store(static_cast<std::uint64_t>(now()), kRelaxed);
  block.step.store(static_cast<std::uint64_t>(step), std::memory_order_release);
}

void doing(Activity activity, std::string_view what, std::int64_t bytes, int peer) {
  Word* const words = own.words();
  own.activity = activity;
  own.peer = peer;
  own.bytes = bytes;
  own.length = std::min(what.size(), kWhatBytes);
  std::memmove(own.what, what.data(), own.length);
  if (!words) return;
  Word* const record = words + kFirstRecord + (own.records % kRecords) * kRecordWords;
  record[0].store(static_cast<std::uint64_t>(now()), kRelaxed);
  record[1].store(block.step.load(kRelaxed), kRelaxed);
  record[2].store(static_cast<std::uint64_t>(bytes), kRelaxed);
  record[3].store(static_cast<std::uint64_t>(activity) | static_cast<std::uint64_t>(peer + 1) << 8, kRelaxed);
  store_text(record + 4, kWhatBytes, {own.what, own.length});
  words[0].store(++own.records, std::memory_order_release);
}

Doing::Doing(Activity activity, std::string_view what, std::int64_t bytes, int peer)
    : activity_(own.activity), peer_(own.peer), bytes_(own.bytes), length_(own.length) {
  std::memcpy(what_, own.what, length_);
  doing(activity, what, bytes, peer);
}

Doing::~Doing() { doing(activity_, {what_, length_}, bytes_, peer_); }

StepMark step_mark() {
  const auto step = static_cast<std::int64_t>(block.step.load(std::memory_order_acquire));
  return {step, static_cast<std::int64_t>(block.since.load(kRelaxed))};
}

std::vector<Lane> lanes() {
  std::vector<Lane> all;
  std::array<std::uint64_t, kLaneWords> words;
  for (const auto& lane : block.lanes) {
    const std::uint64_t before = lane[0].load(std::memory_order_acquire);
    if (before == 0) continue;
    for (std::size_t i = 0; i < kLaneWords; ++i) words[i] = lane[i].load(kRelaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    Lane seen = lane_of(words.data(), before, lane[0].load(kRelaxed) + 1);
    if (!seen.history.empty()) all.push_back(std::move(seen));
  }
  return all;
}

void copy_block(std::byte* bytes) {
  const auto* from = reinterpret_cast<const Word*>(&block);
  for (std::size_t i = 0; i < kBlockBytes / 8; ++i) {
    const std::uint64_t word = from[i].load(kRelaxed);
    std::memcpy(bytes + 8 * i, &word, 8);
  }
}

std::vector<Lane> lanes_of(const std::byte* bytes) {
  std::vector<Lane> all;
  std::array<std::uint64_t, kLaneWords> words;
  for (std::size_t i = 0; i < kLanes; ++i) {
    std::memcpy(words.data(), bytes + 8 * (2 + i * kLaneWords), 8 * kLaneWords);
    if (words[0] == 0 || words[0] > 1ULL << 62) continue;
    all.push_back(lane_of(words.data(), words[0], words[0]));
  }
  return all;
}

StepMark step_mark_of(const std::byte* bytes) {
  std::int64_t words[2];
  std::memcpy(words, bytes, sizeof words);
  return {words[0], words[1]};
}

}  // namespace convoy::trace
