#include "core/trace/trace.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <optional>

namespace convoy::trace {
namespace {

using Word = std::atomic<std::uint64_t>;
constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;

// One lane, in words, so that any thread may read it while its owner writes:
//   [0]      records written, by all the threads that ever had this lane; it never falls
//   [1]      1 + the number of records when the present owner came; 0: nobody's
//   [2..3]   the thread's name
//   then kRecords records: clock, step, bytes, activity | (peer + 1) << 8, what (8 words)
// The block: step, the clock at which it began, then the lanes.
//
// Record n lies in slot n % kRecords, and [0] rises to n + 1 when it is whole. A reader copies the lane between two looks
// at [0] and [1]. All words are stored with release and loaded with acquire (plain moves on x86): whoever has seen a word
// of record n then sees [0] >= n and the [1] of its writer, so what was overwritten meanwhile is known and left out.
struct Block {
  Word step{static_cast<std::uint64_t>(-1)}, since{0};
  std::array<std::array<Word, kLaneWords>, kLanes> lanes{};
};
static_assert(sizeof(Block) == kBlockBytes);

Block block;
std::array<std::atomic<bool>, kLanes> taken{};

constexpr std::size_t kName = 2, kFirstRecord = kName + kThreadBytes / 8;
constexpr int kLooks = 8;  // at a lane whose thread writes faster than it can be copied

void store_text(Word* words, std::size_t bytes, std::string_view text) {
  std::array<std::uint64_t, kWhatBytes / 8> raw{};
  std::memcpy(raw.data(), text.data(), std::min(text.size(), bytes));
  for (std::size_t i = 0; i < bytes / 8; ++i) words[i].store(raw[i], kRelease);
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
    block.lanes[static_cast<std::size_t>(lane)][1].store(0, kRelease);
    taken[static_cast<std::size_t>(lane)].store(false, kRelease);
    lane = -1;
  }
  Word* words();
};
thread_local Own own;

Word* Own::words() {
  if (!asked) {
    asked = true;
    for (std::size_t i = 0; i < kLanes && lane < 0; ++i) {
      if (taken[i].exchange(true, kAcquire)) continue;
      lane = static_cast<int>(i);
      records = block.lanes[i][0].load(kRelaxed);
      store_text(&block.lanes[i][kName], kThreadBytes, "thread " + std::to_string(i));
      block.lanes[i][1].store(records + 1, kRelease);
    }
  }
  return lane < 0 ? nullptr : block.lanes[static_cast<std::size_t>(lane)].data();
}

std::string text_of(const std::uint64_t* words, std::size_t bytes) {
  char raw[kWhatBytes + 1] = {};
  std::memcpy(raw, words, bytes);
  std::string text(raw);
  // A file's bytes may be anything: nothing that a terminal obeys, and nothing that JSON refuses.
  for (char& c : text)
    if (c < 0x20 || c > 0x7e) c = '?';
  return text;
}

Record record_of(const std::uint64_t* words) {
  Record record;
  record.clock = static_cast<std::int64_t>(words[0]);
  record.step = static_cast<std::int64_t>(words[1]);
  record.bytes = static_cast<std::int64_t>(words[2]);
  record.activity = static_cast<Activity>(std::min<std::uint64_t>(words[3] & 0xff, kActivities - 1));
  record.peer = static_cast<int>(static_cast<std::uint32_t>(words[3] >> 8)) - 1;
  record.what = text_of(words + 4, kWhatBytes);
  return record;
}

std::uint64_t* slot_of(std::uint64_t* lane, std::uint64_t record) {
  return lane + kFirstRecord + (record % kRecords) * kRecordWords;
}

/// Copies a lane, with zeros for the records that were overwritten meanwhile. False: nobody's, or nothing is left.
bool copy_lane(const std::array<Word, kLaneWords>& lane, std::uint64_t* words) {
  for (int look = 0; look < kLooks; ++look) {
    const std::uint64_t owner = lane[1].load(kAcquire);
    const std::uint64_t before = lane[0].load(kAcquire);
    if (owner == 0 || before < owner) return false;  // before + 1 == owner: it has noted nothing yet
    for (std::size_t i = kName; i < kLaneWords; ++i) words[i] = lane[i].load(kAcquire);
    const std::uint64_t after = lane[0].load(kAcquire);
    if (lane[1].load(kAcquire) != owner) continue;
    words[0] = before;
    words[1] = owner;
    const std::uint64_t whole = after >= kRecords ? after - kRecords + 1 : 0;  // the first record that is
    if (whole >= before) continue;
    for (std::uint64_t i = before > kRecords ? before - kRecords : 0; i < whole; ++i)
      std::fill_n(slot_of(words, i), kRecordWords, 0);
    return true;
  }
  return false;
}

/// A copied lane. Left out: records that were zeroed, and, in damaged copies, those whose clock falls.
std::optional<Lane> lane_of(std::uint64_t* words) {
  const std::uint64_t records = words[0], owner = words[1];
  if (owner == 0 || records < owner || records > 1ULL << 62) return std::nullopt;
  Lane lane;
  lane.records = records - (owner - 1);
  lane.thread = text_of(words + kName, kThreadBytes);
  const std::uint64_t oldest = std::max(owner - 1, records > kRecords ? records - kRecords : 0);
  std::int64_t clock = 1;
  for (std::uint64_t i = oldest; i < records; ++i) {
    Record record = record_of(slot_of(words, i));
    if (record.clock < clock) continue;
    clock = record.clock;
    lane.history.push_back(std::move(record));
  }
  if (lane.history.empty()) return std::nullopt;
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
  if (Word* words = own.words()) store_text(words + kName, kThreadBytes, name);
}

void at_step(std::int64_t step) {
  block.since.store(static_cast<std::uint64_t>(now()), kRelaxed);
  block.step.store(static_cast<std::uint64_t>(step), kRelease);
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
  record[0].store(static_cast<std::uint64_t>(now()), kRelease);
  record[1].store(block.step.load(kRelaxed), kRelease);
  record[2].store(static_cast<std::uint64_t>(bytes), kRelease);
  record[3].store(static_cast<std::uint64_t>(activity) | static_cast<std::uint64_t>(peer + 1) << 8, kRelease);
  store_text(record + 4, kWhatBytes, {own.what, own.length});
  words[0].store(++own.records, kRelease);
}

Doing::Doing(Activity activity, std::string_view what, std::int64_t bytes, int peer)
    : activity_(own.activity), peer_(own.peer), bytes_(own.bytes), length_(own.length) {
  std::memcpy(what_, own.what, length_);
  doing(activity, what, bytes, peer);
}

Doing::~Doing() { doing(activity_, {what_, length_}, bytes_, peer_); }

StepMark step_mark() {
  const auto step = static_cast<std::int64_t>(block.step.load(kAcquire));
  return {step, static_cast<std::int64_t>(block.since.load(kRelaxed))};
}

std::vector<Lane> lanes() {
  std::vector<Lane> all;
  std::array<std::uint64_t, kLaneWords> words;
  for (const auto& lane : block.lanes) {
    if (!copy_lane(lane, words.data())) continue;
    if (auto seen = lane_of(words.data())) all.push_back(std::move(*seen));
  }
  return all;
}

std::size_t copy_block(std::byte* bytes) {
  std::memset(bytes, 0, kBlockBytes);
  const StepMark mark = step_mark();
  std::memcpy(bytes, &mark, sizeof mark);
  std::byte* next = bytes + sizeof mark;
  std::array<std::uint64_t, kLaneWords> words;
  for (const auto& lane : block.lanes) {
    if (!copy_lane(lane, words.data())) continue;
    std::memcpy(next, words.data(), sizeof words);
    next += sizeof words;
  }
  return static_cast<std::size_t>(next - bytes);
}

std::vector<Lane> lanes_of(const std::byte* bytes) {
  std::vector<Lane> all;
  std::array<std::uint64_t, kLaneWords> words;
  for (std::size_t i = 0; i < kLanes; ++i) {
    std::memcpy(words.data(), bytes + 8 * (2 + i * kLaneWords), sizeof words);
    if (auto lane = lane_of(words.data())) all.push_back(std::move(*lane));
  }
  return all;
}

StepMark step_mark_of(const std::byte* bytes) {
  std::int64_t words[2];
  std::memcpy(words, bytes, sizeof words);
  return {words[0], words[1]};
}

}  // namespace convoy::trace
