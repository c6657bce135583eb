#include "launch/plan/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "core/tensor/error.h"
#include "launch/train/save_times.h"

namespace convoy {
namespace {

using nlohmann::json;

/// Records of training that say all that is compared.
std::vector<json> training_records(const std::filesystem::path& file) {
  std::ifstream lines(file);
  if (!lines) throw DataError(fmt::format("{}: the file cannot be read; --compare takes the folder of a run", file.string()));
  std::vector<json> records;
  for (std::string line; std::getline(lines, line);) {
    json record = json::parse(line, nullptr, false);  // the last line of a killed run may be cut
    if (record.is_object() && record.value("kind", "") == "train" && record.contains("ranks") && record.contains("world_size") &&
        record.value("samples_per_second", 0.0) > 0)
      records.push_back(std::move(record));
  }
  if (records.empty())
    throw DataError(fmt::format("{}: no record of training tells step times and the number of ranks", file.string()));
  return records;
}

double mean_over_ranks(const json& record, const char* part) {
  double sum = 0;
  for (const json& rank : record["ranks"]) sum += rank.at(part).get<double>();
  return 1e-3 * sum / static_cast<double>(record["ranks"].size());
}

std::string file_text(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::ostringstream text;
  if (!stream || !(text << stream.rdbuf()))
    throw DataError(fmt::format("{}: the file cannot be read; --compare takes the folder of a run", file.string()));
  return text.str();
}

}  // namespace

Config config_of_run(const std::filesystem::path& run) {
  const std::filesystem::path file = run / "config.cfg";
  return Config::from_text("plan", file_text(file), file.string());
}

ActualRun read_actual_run(const std::filesystem::path& run) {
  const std::vector<json> records = training_records(run / "metrics.jsonl");
  const double batch = config_of_run(run).get<double>("train.batch");
  ActualRun actual;
  actual.ranks = records.back()["world_size"];
  double seconds = 0;
  std::int64_t before = records.size() > 1 ? records.front()["step"].get<std::int64_t>() : 0;
  for (std::size_t i = records.size() > 1 ? 1 : 0; i < records.size(); ++i) {
    const json& record = records[i];
    const std::int64_t steps = std::max<std::int64_t>(1, record["step"].get<std::int64_t>() - before);
    const auto weight = static_cast<double>(steps);
    const double each = batch / record["samples_per_second"].get<double>();
    before = record["step"];
    actual.steps += steps;
    seconds += weight * each;
    actual.compute_seconds += weight * mean_over_ranks(record, "compute");
    actual.exposed_seconds += weight * mean_over_ranks(record, "communication");
    actual.least_seconds = actual.least_seconds == 0 ? each : std::min(actual.least_seconds, each);
    actual.most_seconds = std::max(actual.most_seconds, each);
    actual.booked_bytes = record.value("booked_bytes", 0.0);
    actual.peak_rss_bytes = record.value("peak_rss_bytes", 0.0);
  }
  const auto steps = static_cast<double>(actual.steps);
  actual.step_seconds = seconds / steps;
  actual.compute_seconds /= steps;
  actual.exposed_seconds /= steps;
  return actual;
}

std::vector<ComparedRow> compare(const RankPlan& plan, const MemoryOfRank& booked, const ActualRun& actual) {
  std::vector<ComparedRow> rows{{"step", plan.modes.front().step_seconds, actual.step_seconds},
                                {"compute", plan.compute_seconds, actual.compute_seconds},
                                {"exposed", plan.modes.front().exposed_seconds, actual.exposed_seconds}};
  if (actual.booked_bytes > 0) rows.push_back({"booked memory", static_cast<double>(booked.booked()), actual.booked_bytes, true});
  if (actual.peak_rss_bytes > 0) rows.push_back({"peak RSS", static_cast<double>(booked.total()), actual.peak_rss_bytes, true});
  return rows;
}

std::string compared_text(const std::vector<ComparedRow>& rows, const ActualRun& actual) {
  std::string text = fmt::format("{} rank{}, {} steps; single records: {} to {} a step\n{:<16}{:>14}{:>14}{:>10}\n", actual.ranks,
                                 actual.ranks == 1 ? "" : "s", actual.steps, readable_seconds(actual.least_seconds),
                                 readable_seconds(actual.most_seconds), "", "predicted", "actual", "error");
  const auto value = [](const ComparedRow& row, double number) {
    return row.is_bytes ? readable_bytes(static_cast<std::int64_t>(number)) : readable_seconds(number);
  };
  for (const ComparedRow& row : rows)
    text += fmt::format("{:<16}{:>14}{:>14}{:>10}\n", row.name, value(row, row.predicted), value(row, row.actual),
                        row.actual > 0 ? fmt::format("{:.1f} %", 100 * row.error()) : "-");
  return text + "RSS is the whole process: libraries, MPI and the data staged in memory are in it, and no part of the plan.\n";
}

nlohmann::ordered_json compared_json(const std::vector<ComparedRow>& rows, const ActualRun& actual) {
  nlohmann::ordered_json json{{"ranks", actual.ranks},
                              {"steps", actual.steps},
                              {"least_step_seconds", actual.least_seconds},
                              {"most_step_seconds", actual.most_seconds}};
  for (const ComparedRow& row : rows)
    json["compared"].push_back({{"name", row.name}, {"predicted", row.predicted}, {"actual", row.actual}, {"error", row.error()}});  // null: of nothing
  return json;
}

}  // namespace convoy
