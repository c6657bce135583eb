#include "launch/train/save_times.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace convoy {

void SaveTimes::add(const SaveReport& report) {
  if (!report.good()) {
    ++failed;
    ++failed_in_a_row;
    return;
  }
  failed_in_a_row = 0;
  ++saves;
  bytes = report.bytes;
  write_seconds += report.write_seconds;
  stall_seconds += report.stall_seconds();
  longest_stall = std::max(longest_stall, report.stall_seconds());
}

std::string SaveTimes::summary() const {
  if (saves == 0) return failed == 0 ? "nothing was saved" : fmt::format("all {} saves failed", failed);
  const auto each = static_cast<double>(saves);
  std::string text = fmt::format("{} {} of {}, written in the background in {} each; training stood still for {} a save, at "
                                 "most {}",
                                 saves, saves == 1 ? "save" : "saves", readable_bytes(bytes),
                                 readable_seconds(write_seconds / each), readable_seconds(stall_seconds / each),
                                 readable_seconds(longest_stall));
  if (failed > 0) text += fmt::format("; {} more failed", failed);
  return text;
}

std::string metrics_record(const SaveReport& report) {
  nlohmann::ordered_json record{{"kind", "checkpoint"},
                                {"step", report.step},
                                {"bytes", report.bytes},
                                {"seconds", report.write_seconds},
                                {"stall_seconds", report.stall_seconds()}};
  if (!report.good()) record["error"] = report.error;
  return record.dump();
}

std::string readable_seconds(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.3g} us", 1e6 * seconds);
  if (seconds < 1) return fmt::format("{:.3g} ms", 1e3 * seconds);
  return fmt::format("{:.3g} s", seconds);
}

std::string readable_bytes(std::int64_t bytes) {
  const auto size = static_cast<double>(bytes);
  if (size < 1e6) return fmt::format("{:.3g} kB", size / 1e3);
  return size < 1e9 ? fmt::format("{:.3g} MB", size / 1e6) : fmt::format("{:.3g} GB", size / 1e9);
}

}  // namespace convoy
