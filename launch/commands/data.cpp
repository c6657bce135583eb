// convoy data: data sets on disk.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "io/import/import.h"
#include "io/inspect.h"
#include "launch/commands/commands.h"
#include "launch/data_options.h"
#include "launch/errors.h"
#include "launch/printable.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// Ranks wait for each other as long as the slowest takes for its share of the files.
constexpr std::chrono::hours kLongestImport{24 * 30};

/// Names of files may hold bytes that are not UTF-8: they become U+FFFD.
void print_json(const Json& json) { fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace)); }

bool wants_json(const Config& config) { return config.get<std::string>("format") == "json"; }

/// The value of an option that has no sensible default.
fs::path needed(const Config& config, const std::string& name) {
  const auto path = config.get<fs::path>(name);
  if (path.empty()) {
    throw UsageError(fmt::format("{} is missing; see convoy {} --help", name, config.command()));
  }
  return path;
}

/// On a terminal a line that is rewritten, elsewhere one line for each finished piece of work.
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

/// "[28, 28, 1] uint8", or "jpeg pictures of 3 channels".
std::string kind_text(const std::string& encoding, const Shape& sample, DType dtype) {
  return encoding.empty() ? fmt::format("{} {}", sample.str(), name_of(dtype))
                          : fmt::format("{} pictures of {} channels", encoding, sample[-1]);
}

void print_import_json(const ImportReport& report) {
  Json json = {{"class_names", report.class_names}, {"sample", extents_of(report.sample)},
               {"dtype", name_of(report.dtype)},    {"splits", Json::array()},
               {"encoding", report.encoding},       {"skipped", Json::array()},
               {"hidden", report.hidden},           {"bad", report.bad},
               {"left_out", report.left_out},       {"converted", report.converted},
               {"kept_odd", report.kept_odd},       {"resumed_shards", report.resumed_shards},
               {"report", report.report_file.string()}};
  for (const SplitReport& split : report.splits) {
    json["splits"].push_back({{"split", name_of(split.split)},
                              {"samples", split.samples},
                              {"bytes", split.size_bytes},
                              {"files", path_list(split.files)},
                              {"channel_mean", split.channel_mean},
                              {"channel_std", split.channel_std},
                              {"class_counts", split.class_counts}});
  }
  for (const SkippedFile& skipped : report.skipped) {
    json["skipped"].push_back({{"file", skipped.file.string()}, {"reason", skipped.reason}});
  }
  print_json(json);
}

void print_import_text(const ImportReport& report) {
  for (const SplitReport& split : report.splits) {
    const auto [fewest, most] = std::minmax_element(split.class_counts.begin(), split.class_counts.end());
    fmt::print("{:<10}  {} samples of {}, {} shards, {}; {} classes of {} to {} samples\n",
               name_of(split.split), split.samples, kind_text(report.encoding, report.sample, report.dtype),
               split.files.size(), bytes_text(split.size_bytes), report.class_names.size(), *fewest, *most);
  }
  if (report.resumed_shards > 0) fmt::print(stderr, "[data] {} shards were finished before\n", report.resumed_shards);
  if (!report.report_file.empty())
    fmt::print(stderr, "[data] {} bad, {} left out, {} converted, {} kept although odd: {}\n", report.bad, report.left_out,
               report.converted, report.kept_odd, report.report_file.string());
  for (const SkippedFile& skipped : report.skipped) {
    fmt::print(stderr, "[data] left out {}\n", printable(fmt::format("{}: {}", skipped.file.string(), skipped.reason)));
  }
  if (report.hidden > 0) fmt::print(stderr, "[data] left out {} hidden files and folders\n", report.hidden);
}

/// Image folders are read by all ranks; the other forms by the first alone.
ImportOptions import_options(const Config& config, World& world) {
  ImportOptions options;
  options.source = needed(config, "input");
  options.output = needed(config, "output");
  options.shards = config.get<int>("shards");
  options.class_names = config.get<std::vector<std::string>>("class-names");
  options.overwrite = config.get<bool>("overwrite");
  options.skip_bad = config.get<bool>("skip-bad");
  options.encoding = config.get<std::string>("encoding");
  options.channels = std::stoi(config.get<std::string>("channels"));
  options.resize_short = config.get<std::int64_t>("resize-short");
  options.quality = config.get<int>("quality");
  options.list_split = split_of(config.get<std::string>("split"));
  options.rank = world.rank();
  options.ranks = world.all().size();
  options.all_gather = [&world](const std::string& mine) { return world.all().all_gather_strings(mine); };
  if (world.rank() == 0) options.progress = progress_on_stderr();
  return options;
}

int import(const Config& config, World& world) {
  const auto from = config.get<std::string>("from");
  if (from.empty()) {
    std::vector<std::string> known;
    for (const Importer& importer : importers()) known.emplace_back(importer.name);
    throw UsageError(fmt::format("from is missing: the form of the input, one of {}", fmt::join(known, ", ")));
  }
  const Importer& importer = find_importer(from);
  for (const char* name : {"encoding", "channels", "resize-short", "quality", "split"})
    if (config.given(name) && from != "image-folder")
      throw UsageError(fmt::format("{} is for --from=image-folder; {} is stored as pixels", name, from));
  const ImportOptions options = import_options(config, world);
  world.all().set_deadline(kLongestImport);
  if (from != "image-folder" && world.rank() > 0) return kDone;
  const ImportReport report = importer.run(options);
  if (world.rank() == 0) (wants_json(config) ? print_import_json : print_import_text)(report);
  return kDone;
}

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

Action import_action() {
  return {
      .path = "data import",
      .summary = "make sharded HDF5 from MNIST (IDX), CIFAR-10/100 or JPEG and PNG files in class folders",
      .usage = "data import --from=FORM --input=DIR --output=DIR [--shards=N] [--class-names=A,B,...]",
      .description =
          "Reads DIR and writes one set of shards for each split it finds: OUTPUT/train-00000-of-00004.h5 and "
          "so "
          "on, with a checksum for every sample and the training split's mean and deviation per channel. All "
          "splits appear at once, after every file was read without fault, or none.\n\n"
          "idx: NAME-images-idx3-ubyte beside NAME-labels-idx1-ubyte, plain or gzip; 'train' in the name is "
          "the "
          "training split, 't10k' or 'test' the test split, 'validation' or 'val' the validation split.\n\n"
          "cifar10, cifar100: the binary versions (data_batch_1.bin, ...; train.bin, test.bin).\n\n"
          "image-folder: INPUT/CLASS/*.jpg or *.png, all training; or INPUT/train/CLASS/* with folders validation (or val) and "
          "test beside train; or a file INPUT of lines PATH, tab, LABEL. Pictures of any size stay encoded and are decoded "
          "while training (--data.size): every file is decoded once to check it, and kept as it is, or converted (CMYK, 16 "
          "bits, transparency, EXIF orientation, another encoding, --resize-short). OUTPUT/import-report.tsv names every file "
          "that is not there as it came, and why. PNG files of one size are stored as pixels (--encoding=raw). Under mpirun "
          "the ranks share the work. An import that was cut off goes on when the same command is given again.",
      .examples =
          "convoy data import --from=idx --input=mnist --output=data/mnist --shards=4\n"
          "convoy data import --from=image-folder --input=photos --output=data/photos --skip-bad\n"
          "mpirun -n 8 convoy data import --from=image-folder --input=ILSVRC2012 --output=data/imagenet --resize-short=256",
      .run_on_ranks = import};
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
