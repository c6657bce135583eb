// The verdict as text and as JSON.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "launch/doctor/diagnose.h"

namespace convoy {
namespace {

constexpr std::size_t kRowsShown = 64;  // --format=json has them all

/// One line, whatever a message holds.
std::string line_of(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return text;
}

std::string table_of(const std::vector<RankRow>& rows) {
  std::size_t host = 4;
  for (const RankRow& row : rows) host = std::max(host, row.host.size());
  std::string text = fmt::format("\n{:>5}  {:<{}}  {:>8}  {:<23}  {:>8}  {:<10}  {:>10}  {}\n", "rank", "host", host, "process",
                                 "last seen (UTC)", "step", "activity", "since", "what");
  for (std::size_t i = 0; i < std::min(rows.size(), kRowsShown); ++i) {
    const RankRow& row = rows[i];
    text += fmt::format("{:>5}  {:<{}}  {:>8}  {:<23}  {:>8}  {:<10}  {:>10}  {}\n", row.rank, row.host, host, row.pid,
                        date_text(row.last_seen_ns), row.step < 0 ? "-" : std::to_string(row.step), row.activity,
                        row.finished ? "-" : duration_text(row.seconds), row.what);
  }
  if (rows.size() > kRowsShown) text += fmt::format("  ... and {} more ranks: --format=json\n", rows.size() - kRowsShown);
  return text + "\n";
}

}  // namespace

std::string_view name_of(Outcome outcome) {
  constexpr std::string_view kNames[] = {"done",    "stopped", "refused", "bad data",   "failed",
                                         "crashed", "running", "hanging", "never began"};
  return kNames[static_cast<std::size_t>(outcome)];
}

std::string date_text(std::int64_t ns) {
  const std::int64_t most = 253402300799LL;  // the year 9999, for clocks of damaged files
  const std::time_t seconds = std::clamp<std::int64_t>(ns / 1'000'000'000, 0, most);
  return fmt::format("{:%Y-%m-%d %H:%M:%S}.{:03}", fmt::gmtime(seconds), std::max<std::int64_t>(0, ns) / 1'000'000 % 1000);
}

std::string duration_text(double seconds) {
  if (seconds < 10) return fmt::format("{:.2f} s", seconds);
  if (seconds < 600) return fmt::format("{:.0f} s", seconds);
  const auto minutes = static_cast<std::int64_t>(std::min(seconds, 1e15) / 60);
  return minutes < 60 ? fmt::format("{} min", minutes) : fmt::format("{} h {} min", minutes / 60, minutes % 60);
}

std::string to_text(const Verdict& verdict) {
  std::string text = line_of(verdict.sentence) + "\n";
  for (const std::string& detail : verdict.details) text += "  " + line_of(detail) + "\n";
  if (!verdict.ranks.empty()) text += table_of(verdict.ranks);
  text += "next: " + verdict.next + "\n";
  if (!verdict.lives.empty()) text += "earlier lives:\n";
  for (const std::string& life : verdict.lives) text += "  " + line_of(life) + "\n";
  if (!verdict.problems.empty()) text += "not readable:\n";
  for (const std::string& problem : verdict.problems) text += "  " + line_of(problem) + "\n";
  return text;
}

std::string to_json(const Verdict& verdict) {
  using json = nlohmann::ordered_json;
  json ranks = json::array();
  for (const RankRow& row : verdict.ranks)
    ranks.push_back({{"rank", row.rank},
                     {"host", row.host},
                     {"pid", row.pid},
                     {"last_seen", date_text(row.last_seen_ns)},
                     {"step", row.step < 0 ? json() : json(row.step)},
                     {"activity", row.activity},
                     {"what", row.what},
                     {"seconds", row.seconds},
                     {"finished", row.finished}});
  const json object{{"outcome", name_of(verdict.outcome)},
                    {"sentence", verdict.sentence},
                    {"rank", verdict.rank < 0 ? json() : json(verdict.rank)},
                    {"details", verdict.details},
                    {"ranks", ranks},
                    {"next", verdict.next},
                    {"lives", verdict.lives},
                    {"problems", verdict.problems}};
  // A reason may quote a damaged file: bytes that are not UTF-8 become U+FFFD.
  return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace convoy
