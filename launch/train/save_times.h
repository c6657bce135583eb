#pragma once
// What saving cost the training: for the log's last lines and metrics.jsonl.
#include <algorithm>
#include <cstdint>
#include <string>

#include "io/checkpoint_saver.h"

namespace convoy {

struct SaveTimes {
  std::int64_t saves = 0, failed = 0, failed_in_a_row = 0;
  std::int64_t bytes = 0;                     // of the newest
  double write_seconds = 0, stall_seconds = 0;  // sums
  double longest_stall = 0;

  void add(const SaveReport& report);
  /// "12 saves of 0.7 MB, written in the background in 6.2 ms each; training stood still for 0.3 ms a save, at most 0.5 ms"
  std::string summary() const;
};

/// One line for metrics.jsonl: kind "checkpoint", step, bytes, seconds, stall_seconds; or the error.
std::string metrics_record(const SaveReport& report);

/// "6.2 ms", "1.4 s": three digits that matter.
std::string readable_seconds(double seconds);
/// "0.7 MB"
std::string readable_bytes(std::int64_t bytes);

}  // namespace convoy
