// convoy data: data sets on disk.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "core/tensor/error.h"
#include "io/inspect.h"
#include "launch/commands/commands.h"
#include "launch/commands/data_output.h"
#include "launch/data_options.h"
#include "launch/errors.h"
#include "launch/printable.h"

namespace convoy {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

void print_json(const Json& json) { fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace)); }

bool wants_json(const Config& config) { return config.get<std::string>("format") == "json"; }

fs::path needed(const Config& config, const std::string& name) {
  const auto path = config.get<fs::path>(name);
  if (path.empty()) {
    throw UsageError(fmt::format("{} is missing; see convoy {} --help", name, config.command()));
  }
  return path;
}

ProgressSink progress_on_stderr() {
  return [terminal = isatty(STDERR_FILENO) == 1](const Progress& progress) {
    const bool finished = progress.done == progress.total;
    if (!terminal && !finished) return;
    fmt::print(stderr, "{}[data] {} {}/{}{}", terminal ? "\r" : "", progress.what, progress.done,
               progress.total, finished ? "\n" : "");
    std::fflush(stderr);
  };
}

std::string bytes_text(std::int64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

Json path_list(const std::vector<fs::path>& files) {
  Json list = Json::array();
  for (const fs::path& file : files) list.push_back(file.string());
  return list;
}

std::vector<std::int64_t> extents_of(const Shape& shape) {
  return {shape.extents().begin(), shape.extents().end()};
}

std::string kind_text(const std::string& encoding, const Shape& sample, DType dtype) {
  return encoding.empty() ? fmt::format("{} {}", sample.str(), name_of(dtype))
                          : fmt::format("{} pictures of {} channels", encoding, sample[-1]);
}

namespace {

Json info_json(const SplitInfo& split) {
  return {{"split", name_of(split.split)},
          {"task", split.info.task},
          {"samples", split.info.samples},
          {"sample", extents_of(split.info.sample)},
          {"dtype", name_of(split.info.dtype)},
          {"encoding", split.info.encoding},
          {"color_values", split.info.color_values},
          {"color_vectors", split.info.color_vectors},
          {"shards", split.info.shards},
          {"bytes", split.size_bytes},
          {"class_names", split.info.class_names},
          {"channel_mean", split.info.channel_mean},
          {"channel_std", split.info.channel_std},
          {"fingerprint", split.info.fingerprint},
          {"source", split.source},
          {"created_by", split.created_by},
          {"files", path_list(split.files)}};
}

void print_info(const SplitInfo& split) {
  const DatasetInfo& info = split.info;
  fmt::print("{}\n", name_of(split.split));
  fmt::print("  {:<12} {} ({}), {} shards, {}\n", "samples", info.samples, info.task, info.shards,
             bytes_text(split.size_bytes));
  fmt::print("  {:<12} {}\n", "images", kind_text(info.encoding, info.sample, info.dtype));
  fmt::print("  {:<12} {}: {}\n", "classes", info.class_names.size(),
             printable(fmt::format("{}", fmt::join(info.class_names, ", "))));
  fmt::print("  {:<12} mean {:.4g}, deviation {:.4g} (per channel, of the training split)\n", "channels",
             fmt::join(info.channel_mean, ", "), fmt::join(info.channel_std, ", "));
  fmt::print("  {:<12} {}\n  {:<12} {}\n  {:<12} {}\n", "fingerprint", info.fingerprint, "source", printable(split.source),
             "created by", printable(split.created_by));
}

/// All splits of a folder of shards; or the one of a foreign file whose datasets are named.
std::vector<SplitInfo> splits_of(const Config& config) {
  const fs::path path = needed(config, "data.path");
  if (config.get<std::string>("data.images").empty() && config.get<std::string>("data.labels").empty()) return inspect_info(path);
  DatasetOptions options;
  options.path = path;
  options.images = config.get<std::string>("data.images");
  options.labels = config.get<std::string>("data.labels");
  return {inspect_foreign(options)};
}

int info(const Config& config) {
  const std::vector<SplitInfo> splits = splits_of(config);
  if (wants_json(config)) {
    Json json = Json::array();
    for (const SplitInfo& split : splits) json.push_back(info_json(split));
    print_json(json);
  } else {
    for (const SplitInfo& split : splits) print_info(split);
  }
  for (const SplitInfo& split : splits)
    if (!split.warning.empty()) fmt::print(stderr, "[data] {}: {}\n", name_of(split.split), printable(split.warning));
  return kDone;
}

void print_verification(const VerifyReport& report, bool as_json) {
  if (as_json) {
    Json json = {{"good", report.ok()},
                 {"shards", report.shards},
                 {"samples", report.samples},
                 {"bad_samples", report.bad_samples},
                 {"problems", Json::array()}};
    for (const VerifyProblem& problem : report.problems) {
      json["problems"].push_back({{"file", problem.file.string()},
                                  {"sample", problem.sample < 0 ? Json() : Json(problem.sample)},
                                  {"what", problem.what}});
    }
    print_json(json);
    return;
  }
  for (const VerifyProblem& problem : report.problems) {
    const std::string sample = problem.sample < 0 ? "" : fmt::format(", sample {}", problem.sample);
    fmt::print("BAD  {}\n", printable(fmt::format("{}{}: {}", problem.file.string(), sample, problem.what)));
  }
  fmt::print("{}: {} shards, {} samples checked, {} problems\n", report.ok() ? "good" : "DAMAGED",
             report.shards, report.samples, report.problems.size());
}

int verify(const Config& config) {
  const fs::path path = needed(config, "data.path");
  const auto split = config.get<std::string>("data.split");
  const VerifyReport report = inspect_verify(
      path, split == "all" ? std::nullopt : std::optional(split_of(split)), progress_on_stderr());
  print_verification(report, wants_json(config));
  if (!report.ok()) {
    throw DataError(
        fmt::format("{}: {} problems; import the damaged shards again", path.string(), report.problems.size()));
  }
  return kDone;
}

void print_stats(const StatsReport& report, bool as_json) {
  Json json = {{"samples", report.info.samples}, {"channels", Json::array()}, {"classes", Json::array()}};
  for (const ChannelStats& channel : report.channels) {
    json["channels"].push_back({{"mean", channel.mean},
                                {"deviation", channel.deviation},
                                {"minimum", channel.minimum},
                                {"maximum", channel.maximum}});
  }
  for (std::size_t i = 0; i < report.class_counts.size(); ++i) {
    json["classes"].push_back({{"name", report.info.class_names.at(i)}, {"samples", report.class_counts[i]}});
  }
  if (as_json) {
    json["color_values"] = report.color_values;
    json["color_vectors"] = report.color_vectors;
    print_json(json);
    return;
  }
  fmt::print("{} samples\n\n{:<8} {:>12} {:>12} {:>12} {:>12}\n", report.info.samples, "channel", "mean",
             "deviation", "minimum", "maximum");
  for (std::size_t i = 0; i < report.channels.size(); ++i) {
    const ChannelStats& channel = report.channels[i];
    fmt::print("{:<8} {:>12.5g} {:>12.5g} {:>12.5g} {:>12.5g}\n", i, channel.mean, channel.deviation,
               channel.minimum, channel.maximum);
  }
  for (std::size_t i = 0; i < report.color_values.size(); ++i)
    fmt::print("{}{:<12.5g} {:.4f}\n", i == 0 ? "\ncolour covariance: eigenvalue, eigenvector\n" : "", report.color_values[i],
               fmt::join(report.color_vectors.begin() + static_cast<std::ptrdiff_t>(3 * i),
                         report.color_vectors.begin() + static_cast<std::ptrdiff_t>(3 * i + 3), " "));
  fmt::print("\n{:>8} {:>7}  class\n", "samples", "share");
  for (std::size_t i = 0; i < report.class_counts.size(); ++i) {
    const double share = static_cast<double>(report.class_counts[i]) / static_cast<double>(report.info.samples);
    fmt::print("{:>8} {:>6.2f}%  {}\n", report.class_counts[i], 100 * share, printable(report.info.class_names.at(i)));
  }
}

int stats(const Config& config) {
  DatasetOptions options;
  options.path = needed(config, "data.path");
  options.split = split_of(config.get<std::string>("data.split"));
  options.validation = config.get<double>("data.validation");
  options.images = config.get<std::string>("data.images");
  options.labels = config.get<std::string>("data.labels");
  const auto dataset = open_dataset(options);
  print_stats(inspect_stats(*dataset, progress_on_stderr()), wants_json(config));
  return kDone;
}

Action info_action() {
  return {.path = "data info",
          .summary = "what a folder of shards holds, without reading its images",
          .usage = "data info DIR | FILE.h5 --data.images=/x --data.labels=/y [--format=json]",
          .description =
              "Prints, for every split in DIR, samples, extents, classes, the normalisation's mean and "
              "deviation, and the fingerprint by which a resumed run knows its data again. A foreign HDF5 file is read "
              "where data.images and data.labels name its datasets; without them, its datasets are listed.",
          .examples = "convoy data info data/fashion-mnist\nconvoy data info scans.h5",
          .positional = "data.path",
          .run = info};
}

Action verify_action() {
  return {.path = "data verify",
          .summary = "check every checksum, label and attribute of a folder of shards",
          .usage = "data verify DIR [--data.split=train] [--format=json]",
          .description =
              "Reads every sample of every shard. Names each file and sample that is damaged, and goes on; "
              "status 3 where there is one.",
          .examples = "convoy data verify data/fashion-mnist",
          .positional = "data.path",
          .run = verify};
}

Action stats_action() {
  return {.path = "data stats",
          .summary = "mean, deviation and extremes per channel, and samples per class",
          .usage = "data stats DIR [--data.split=test] [--data.images=/x --data.labels=/y] [--format=json]",
          .description =
              "Reads every image of one split, of a folder of shards or of a foreign HDF5 file whose "
              "datasets data.images and data.labels name. Values are in stored units (0 to 255 for uint8).",
          .examples =
              "convoy data stats data/fashion-mnist --data.split=test\n"
              "convoy data stats scans.h5 --data.images=/images --data.labels=/labels",
          .positional = "data.path",
          .run = stats};
}

}  // namespace

Command data_command() {
  return {"data",
          "import data sets, and look at, check or count what is in them",
          {import_action(), info_action(), verify_action(), stats_action()}};
}

}  // namespace convoy
