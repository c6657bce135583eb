#include "launch/train/slow_ranks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/tensor/error.h"

namespace convoy {
namespace {

using nlohmann::ordered_json;
using Values = std::vector<double>;  // [ranks]

constexpr double kShare = 0.1, kLeastMs = 3;  // of lateness that counts: of a step, and in any case
constexpr int kInARow = 2;                    // records
constexpr double kExplains = 1.0 / 3;         // of the lateness, for a part to be its cause
constexpr std::size_t kListed = 32, kSlowestListed = 8;

double middle(const Values& sorted) {
  const std::size_t n = sorted.size();
  return n == 0 ? 0 : (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

double median(Values values) {
  std::sort(values.begin(), values.end());
  return middle(values);
}

/// For each rank its value less the median of the other ranks' values; 0 where there are no others.
Values beyond_others(const Values& values) {
  if (values.size() < 2) return Values(values.size(), 0.0);
  Values sorted = values, beyond;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t others = sorted.size() - 1;
  for (const double value : values) {
    const auto own = static_cast<std::size_t>(std::lower_bound(sorted.begin(), sorted.end(), value) - sorted.begin());
    const auto other = [&](std::size_t i) { return sorted[i < own ? i : i + 1]; };  // the sorted values without it
    beyond.push_back(value - (other((others - 1) / 2) + other(others / 2)) / 2);
  }
  return beyond;
}

template <typename T>
Values of_all(const std::vector<RankSplit>& ranks, T RankSplit::*part) {
  Values values;
  for (const RankSplit& rank : ranks) values.push_back(rank.*part);
  return values;
}

struct Lateness {
  Values mean, typical;  // ms after the first rank: mean and median over the steps
};

Lateness lateness_of(std::span<const RankTimes> times) {
  const auto steps = static_cast<std::size_t>(std::min<std::int64_t>(times[0].steps, kArrivals));
  std::vector<Values> late(times.size());
  for (std::size_t i = 0; i < steps; ++i) {
    std::int64_t first = std::numeric_limits<std::int64_t>::max();
    for (const RankTimes& rank : times) first = std::min(first, rank.arrivals[i]);
    for (std::size_t r = 0; r < times.size(); ++r)
      late[r].push_back(static_cast<double>(times[r].arrivals[i] - first) / 1e6);
  }
  Lateness lateness;
  for (const Values& of_rank : late) {
    lateness.mean.push_back(std::accumulate(of_rank.begin(), of_rank.end(), 0.0) / static_cast<double>(steps));
    lateness.typical.push_back(median(of_rank));
  }
  return lateness;
}

RankSplit split_of(int rank, const RankTimes& times) {
  const double to_ms = 1e3 / static_cast<double>(times.steps);
  const StepParts& parts = times.parts;
  const double known = parts.input + parts.compute + parts.communication + parts.checkpoint;
  return {.rank = rank,
          .input = parts.input * to_ms,
          .compute = parts.compute * to_ms,
          .communication = parts.communication * to_ms,
          .checkpoint = parts.checkpoint * to_ms,
          .other = std::max(times.seconds - known, 0.0) * to_ms};
}

struct Excess {
  Values input, compute, checkpoint, communication, mean, typical;
};

SlowRank slow_rank(int rank, const Excess& excess) {
  const auto at = static_cast<std::size_t>(rank);
  SlowRank slow{.rank = rank, .late = excess.mean[at], .others_wait = std::max(-excess.communication[at], 0.0)};
  for (const auto& [cause, part] : {std::pair{SlowCause::input, excess.input[at]},
                                    {SlowCause::compute, excess.compute[at]},
                                    {SlowCause::checkpoint, excess.checkpoint[at]}}) {
    if (part < kExplains * slow.late || part <= slow.excess) continue;
    slow.cause = cause;
    slow.excess = part;
  }
  if (slow.cause == SlowCause::host) slow.excess = slow.late;
  return slow;
}

double rounded(double ms) { return std::round(ms * 1000) / 1000; }

ordered_json json_of(const RankSplit& split) {
  return {{"rank", split.rank},
          {"input", rounded(split.input)},
          {"compute", rounded(split.compute)},
          {"communication", rounded(split.communication)},
          {"checkpoint", rounded(split.checkpoint)},
          {"other", rounded(split.other)},
          {"late", rounded(split.late)}};
}

ordered_json quantiles_of(const std::vector<RankSplit>& ranks) {
  ordered_json all;
  for (const auto& [name, part] : {std::pair{"input", &RankSplit::input},
                                   {"compute", &RankSplit::compute},
                                   {"communication", &RankSplit::communication},
                                   {"checkpoint", &RankSplit::checkpoint},
                                   {"other", &RankSplit::other},
                                   {"late", &RankSplit::late}}) {
    Values values = of_all(ranks, part);
    std::sort(values.begin(), values.end());
    all[name] = {rounded(values.front()), rounded(middle(values)),
                 rounded(values[(values.size() - 1) * 9 / 10]), rounded(values.back())};
  }
  return all;
}

ordered_json json_of(const SlowRank& slow) {
  return {{"rank", slow.rank},
          {"cause", name_of(slow.cause)},
          {"excess_ms", rounded(slow.excess)},
          {"late_ms", rounded(slow.late)},
          {"others_wait_ms", rounded(slow.others_wait)}};
}

/// "compute +50.2 ms a step"
std::string reason_of(const SlowRank& slow) {
  if (slow.cause == SlowCause::host) return fmt::format("{:.1f} ms late a step, waiting for its core or host", slow.late);
  return fmt::format("{} +{:.1f} ms a step", name_of(slow.cause), slow.excess);
}

}  // namespace

std::string_view name_of(SlowCause cause) {
  constexpr std::array<std::string_view, 4> kNames{"input", "compute", "checkpoint", "host"};
  return kNames[static_cast<std::size_t>(cause)];
}

std::string StragglerReport::json_members() const {
  if (ranks.empty()) return "";
  ordered_json record, listed = ordered_json::array();
  std::vector<RankSplit> chosen = ranks;
  if (chosen.size() > kListed) {
    std::stable_sort(chosen.begin(), chosen.end(), [](const auto& a, const auto& b) { return a.late > b.late; });
    chosen.resize(kSlowestListed);
    record["quantiles"] = quantiles_of(ranks);
  }
  for (const RankSplit& split : chosen) listed.push_back(json_of(split));
  record["ranks"] = listed;
  if (!slow.empty()) {
    record["slow"] = json_of(slow.front());
    for (std::size_t i = 1; i < slow.size(); ++i) record["slow"]["also"].push_back(slow[i].rank);
  }
  std::string text = record.dump();
  text.front() = ',';
  text.pop_back();
  return text;
}

std::string StragglerReport::line() const {
  if (slow.empty()) return "";
  const std::string more = slow.size() > 1 ? fmt::format(" (and {} more)", slow.size() - 1) : "";
  return fmt::format("slow: rank {}, {}{}", slow.front().rank, reason_of(slow.front()), more);
}

void SlowRanks::note(History& history, const SlowRank& now, bool above, bool below, StragglerReport& report) {
  history.above = above ? history.above + 1 : 0;
  history.below = below ? history.below + 1 : 0;
  if (above) history.newest = now;
  if (!history.slow && history.above >= kInARow) {
    history.slow = true;
    report.news.push_back(fmt::format("rank {} holds up the others: {}; they wait {:.1f} ms a step longer than it",
                                      now.rank, reason_of(now), now.others_wait));
  }
  if (history.slow && history.below >= kInARow) {
    history.slow = false;
    report.news.push_back(fmt::format("rank {} keeps up again", now.rank));
  }
  if (!history.slow) return;
  report.slow.push_back(history.newest);
  ++history.records[static_cast<std::size_t>(history.newest.cause)];
}

StragglerReport SlowRanks::judge(std::span<const RankTimes> times) {
  StragglerReport report;
  for (std::size_t r = 0; r < times.size(); ++r) {
    if (times[r].steps != times[0].steps || times[r].steps < 1)
      throw Error(fmt::format("step times: rank {} counted {} steps where rank 0 counted {}; expected the same number on "
                              "all, from 1 on", r, times[r].steps, times[0].steps));
    report.ranks.push_back(split_of(static_cast<int>(r), times[r]));
    report.step = std::max(report.step, 1e3 * times[r].seconds / static_cast<double>(times[r].steps));
  }
  const Lateness late = lateness_of(times);
  for (std::size_t r = 0; r < times.size(); ++r) report.ranks[r].late = late.mean[r];
  const Excess excess{.input = beyond_others(of_all(report.ranks, &RankSplit::input)),
                      .compute = beyond_others(of_all(report.ranks, &RankSplit::compute)),
                      .checkpoint = beyond_others(of_all(report.ranks, &RankSplit::checkpoint)),
                      .communication = beyond_others(of_all(report.ranks, &RankSplit::communication)),
                      .mean = beyond_others(late.mean),
                      .typical = beyond_others(late.typical)};
  histories_.resize(times.size());
  ++records_;
  const double limit = std::max(kShare * report.step, kLeastMs);
  for (std::size_t r = 0; r < times.size(); ++r) {
    const SlowRank now = slow_rank(static_cast<int>(r), excess);
    const bool is_rule = excess.typical[r] > limit / 2 || std::max(excess.input[r], excess.checkpoint[r]) >= now.late / 2;
    const bool above = now.late > limit && now.others_wait > limit / 2 && is_rule;
    const bool below = now.late < limit / 2 || now.others_wait < limit / 4;
    note(histories_[r], now, above, below, report);
  }
  std::stable_sort(report.slow.begin(), report.slow.end(), [](const auto& a, const auto& b) { return a.late > b.late; });
  return report;
}

std::string SlowRanks::summary() const {
  std::string text;
  for (std::size_t r = 0; r < histories_.size(); ++r) {
    const auto& records = histories_[r].records;
    const int slow = std::accumulate(records.begin(), records.end(), 0);
    if (slow == 0) continue;
    const auto cause = static_cast<SlowCause>(std::max_element(records.begin(), records.end()) - records.begin());
    text += fmt::format("{}rank {} was slow in {} of {} records, most often by {}", text.empty() ? "" : "; ", r, slow,
                        records_, name_of(cause));
  }
  return text;
}

}  // namespace convoy
