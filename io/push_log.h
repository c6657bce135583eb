#pragma once
// pushes.jsonl of an asynchronous run: the order in which its parameters moved, a line an entry, from which the run can be
// repeated bit by bit.
//
//   {"version":0,"record":{"batch":"256",...}}                          the first line: the run record
//   {"version":0,"pushes":[{"worker":2,"sequence":0,"units":[[17,-1]...]}],"staleness":0,"rate":0.01}
//       the pushes that made one update, in the order of their sum; units: [unit, version pulled before it or -1]; version:
//       of the parameters before the update. "left_out": units of a round that nobody waited for; absent where there are none.
//   {"version":7,"skipped":{"worker":1,"sequence":4,"units":[[9,3]]}}    not finite, so it moved nothing
//   {"version":90,"left_out":[720,721]}                                  at a run's end: units that make no round
//   {"version":120,"epoch":0}                                            an evaluation, after the epoch of that number
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace convoy {

struct LoggedPush {
  int worker = 0;
  std::int64_t sequence = 0;
  std::vector<std::pair<std::int64_t, std::int64_t>> units;  // unit, version pulled before it (-1: none)
};

struct LogEntry {
  enum class Kind { record, update, skipped, left_out, evaluation };
  Kind kind = Kind::update;
  std::int64_t version = 0;
  std::vector<LoggedPush> pushes;       // update; skipped: one
  std::int64_t staleness = 0;
  double rate = 0;
  std::vector<std::int64_t> left_out;
  std::int64_t epoch = 0;               // evaluation
  RunRecord record;
};

std::string to_json(const LogEntry& entry);

/// Appends to a file. Threads: one.
class PushLog {
 public:
  /// Keeps the first `entries` (those before the checkpoint that a run goes on from), drops what follows. Throws LibraryError;
  /// DataError where there are fewer.
  PushLog(std::filesystem::path file, std::int64_t entries);
  ~PushLog();
  PushLog(const PushLog&) = delete;
  PushLog& operator=(const PushLog&) = delete;
  void append(const LogEntry& entry);
  std::int64_t entries() const { return entries_; }
  /// What was appended is with the operating system.
  void flush();

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
  std::int64_t entries_ = 0;
  std::string buffer_;
};

/// The whole log. DataError naming the file and the line that is not an entry, or whose version does not follow.
std::vector<LogEntry> read_push_log(const std::filesystem::path& file);

}  // namespace convoy
