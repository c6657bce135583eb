#pragma once
// What every thread of this process does now, and what it did before: a small ring of records per thread, written
// without locks and always on (about 40 ns a record). Whoever watches a run reads it while the threads go on: to name
// what a silent rank hangs in, and, from a copy in a file, what it did when it was killed.
//
// Only the thread itself writes its lane; any thread may read all.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace convoy::trace {

enum class Activity : std::uint8_t {
  idle,        // nothing to do, or waiting for threads of the same rank
  start,       // opening data, building programs, resuming
  input,       // waiting for samples, or (loader threads) reading a shard
  compute,     // an op of a micro-batch
  exchange,    // moving or adding gradients
  peer,        // waiting for another rank
  update,      // the optimizer
  checkpoint,  // copying or writing one
  evaluate,    // between the ops of a validation
  end,         // this thread, or the whole rank, has finished
};
inline constexpr int kActivities = 10;

/// "input", "compute", ...: one word for tables and JSON.
std::string_view name_of(Activity activity);

inline constexpr std::size_t kLanes = 32;       // threads that are recorded at once; any further ones are not
inline constexpr std::size_t kRecords = 32;     // kept per thread
inline constexpr std::size_t kWhatBytes = 64;   // longer texts are cut
inline constexpr std::size_t kThreadBytes = 16;

struct Record {
  std::int64_t clock = 0;   // CLOCK_MONOTONIC, ns
  std::int64_t step = -1;   // under way, counted from 1 as in all messages; -1: none yet
  std::int64_t bytes = 0;   // of what is read, written or exchanged; 0: does not apply
  int peer = -1;            // world rank that is waited for; -1: none
  Activity activity = Activity::idle;
  std::string what;         // "conv1 convolution", "gradient bucket 3", "train-00002.h5"
};

/// This thread's name in what others read: "main", "worker 1", "communication". Until then "thread N".
void name_thread(std::string_view name);

/// The step that this process works on, from now on, for all threads' records.
void at_step(std::int64_t step);

/// This thread does something else now.
void doing(Activity activity, std::string_view what, std::int64_t bytes = 0, int peer = -1);

/// The same until the end of the scope, and then again what the thread did before.
class Doing {
 public:
  Doing(Activity activity, std::string_view what, std::int64_t bytes = 0, int peer = -1);
  ~Doing();
  Doing(const Doing&) = delete;
  Doing& operator=(const Doing&) = delete;

 private:
  Activity activity_;
  int peer_;
  std::int64_t bytes_;
  std::size_t length_;
  char what_[kWhatBytes];
};

/// One thread as another sees it.
struct Lane {
  std::string thread;
  std::uint64_t records = 0;    // written by this thread in all
  std::vector<Record> history;  // oldest first; the last one is what it does now. Never empty.
  const Record& now() const { return history.back(); }
};

/// All threads that live and have noted anything. Records that are being overwritten while they are read are left out.
std::vector<Lane> lanes();

/// The step under way, and when it began (CLOCK_MONOTONIC, ns); -1 before the first.
struct StepMark {
  std::int64_t step = -1, since = 0;
};
StepMark step_mark();

/// CLOCK_MONOTONIC in ns, the clock of all records.
std::int64_t now();

/// The bytes of all lanes, for a file: kBlockBytes of them, into `block`. Any thread, any time. Records that are being
/// overwritten meanwhile are left out, so what is copied is whole.
inline constexpr std::size_t kRecordWords = 4 + kWhatBytes / 8;
inline constexpr std::size_t kLaneWords = 2 + kThreadBytes / 8 + kRecords * kRecordWords;
inline constexpr std::size_t kBlockBytes = 8 * (2 + kLanes * kLaneWords);
/// The lanes in use come first; returns how many bytes they and the step take. The others are zero.
std::size_t copy_block(std::byte* block);

/// What copy_block wrote, perhaps by another process, perhaps damaged: never fails, leaves out what makes no sense. Texts
/// are printable ASCII: any other byte is a '?'.
std::vector<Lane> lanes_of(const std::byte* block);
StepMark step_mark_of(const std::byte* block);

}  // namespace convoy::trace
