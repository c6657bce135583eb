// convoy data import: other formats into shards.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "core/tensor/error.h"
#include "io/import/import.h"
#include "launch/commands/data_output.h"
#include "launch/data_options.h"
#include "launch/errors.h"
#include "launch/printable.h"

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;

/// Ranks wait for each other as long as the slowest takes for its share of the files.
constexpr std::chrono::hours kLongestImport{24 * 30};

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

}  // namespace

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

}  // namespace convoy
