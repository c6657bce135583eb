#include "io/inspect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/tensor/error.h"
#include "io/color_sums.h"
#include "io/crc32c.h"
#include "io/picture_bytes.h"
#include "io/rehearsal.h"
#include "io/shard.h"
#include "io/shard_reader.h"
#include "io/statistics.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

void report_progress(const ProgressSink& progress, const std::string& what, std::int64_t done, std::int64_t total) {
  constexpr std::int64_t kEvery = 4096;
  if (progress && (done == total || done % kEvery == 0)) progress({what, done, total});
}

/// Every sample, then the dataset as a whole.
void verify_images(const fs::path& file, const Shard& shard, VerifyReport& report, const ProgressSink& progress) {
  std::vector<std::byte> image;
  std::uint32_t whole = 0;
  const std::int64_t bad_before = report.bad_samples;
  const auto rows = static_cast<std::int64_t>(shard.labels.size());
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto r = static_cast<std::size_t>(row);
    std::string what;
    const std::size_t image_bytes = shard.images->size_bytes(row);
    image.resize(image_bytes);
    if (shard.images->read(row, image.data(), what)) {
      whole = crc32c(image.data(), image_bytes, whole);
      const std::uint32_t found = crc32c(&shard.labels[r], sizeof shard.labels[r], crc32c(image.data(), image_bytes));
      if (found != shard.crcs[r])
        what = fmt::format("damaged: its CRC-32C is {:08x}, but {:08x} was stored", found, shard.crcs[r]);
    }
    if (!what.empty()) {
      ++report.bad_samples;
      report.problems.push_back({file, row, what});
    }
    ++report.samples;
    report_progress(progress, file.filename().string(), row + 1, rows);
  }
  if (report.bad_samples == bad_before && whole != shard.images_crc)
    report.problems.push_back({file, -1, fmt::format("the attribute crc32c of \"images\" is {:08x}, but the images give {:08x}",
                                                     shard.images_crc, whole)});
}

void verify_split(const fs::path& folder, Split split, VerifyReport& report, const ProgressSink& progress) {
  for (const fs::path& file : shards_present(folder, split)) {
    ++report.shards;
    try {
      rehearse(file.string(), [&] { open_shard(file); });
      const Shard shard = open_shard(file);
      verify_images(file, shard, report, progress);
    } catch (const Error& error) {
      report.problems.push_back({file, -1, error.what()});
    }
  }
  // What no shard shows alone: that the set is whole, and of one import.
  try {
    find_shards(folder, split);
    if (report.ok()) open_dataset({.path = folder, .split = split, .images = {}, .labels = {}, .stage_folder = {}});
  } catch (const Error& error) {
    report.problems.push_back({folder, -1, error.what()});
  }
}

}  // namespace

std::vector<SplitInfo> inspect_info(const fs::path& folder) {
  std::vector<SplitInfo> all;
  std::error_code ignored;
  if (fs::is_regular_file(folder, ignored)) open_dataset({.path = folder, .images = {}, .labels = {}, .stage_folder = {}});  // throws
  for (Split split : splits_in(folder)) {
    SplitInfo info{.split = split, .info = {}, .source = {}, .created_by = {}, .files = find_shards(folder, split),
                   .warning = {}};
    const auto dataset = open_dataset({.path = folder, .split = split, .images = {}, .labels = {}, .stage_folder = {}});
    info.info = dataset->info();
    info.warning = empty_classes_warning(*dataset);
    const ShardHeader header = read_shard_header(hdf5::open_file(info.files.front()).get());
    info.source = header.source;
    info.created_by = header.created_by;
    for (const fs::path& file : info.files) info.size_bytes += static_cast<std::int64_t>(fs::file_size(file));
    all.push_back(std::move(info));
  }
  if (all.empty()) throw DataError(fmt::format("{}: no shards there (files SPLIT-00000-of-*.h5)", folder.string()));
  return all;
}

SplitInfo inspect_foreign(const DatasetOptions& options) {
  const auto dataset = open_dataset(options);
  SplitInfo info{.split = options.split, .info = dataset->info(), .source = "foreign HDF5", .created_by = "another program",
                 .files = {options.path}, .warning = empty_classes_warning(*dataset)};
  std::error_code ignored;
  if (fs::is_regular_file(options.path, ignored)) info.size_bytes = static_cast<std::int64_t>(fs::file_size(options.path));
  return info;
}

std::string empty_classes_warning(const Dataset& dataset) {
  constexpr std::size_t kListed = 10;
  const DatasetInfo& info = dataset.info();
  std::vector<bool> seen(info.class_names.size());
  for (std::int64_t i = 0; i < info.samples; ++i) seen[static_cast<std::size_t>(dataset.label(i))] = true;
  std::vector<std::string> empty;
  for (std::size_t i = 0; i < seen.size(); ++i)
    if (!seen[i]) empty.push_back(info.class_names[i]);
  if (empty.empty()) return {};
  const std::size_t count = empty.size();
  empty.resize(std::min(count, kListed));
  return fmt::format("{} of {} classes have no sample: {}{}", count, seen.size(), fmt::join(empty, ", "),
                     count > kListed ? ", ..." : "");
}

VerifyReport inspect_verify(const fs::path& folder, std::optional<Split> split, const ProgressSink& progress) {
  VerifyReport report;
  for (Split present : splits_in(folder))
    if (!split || *split == present) {
      VerifyReport part;
      verify_split(folder, present, part, progress);
      report.shards += part.shards;
      report.samples += part.samples;
      report.bad_samples += part.bad_samples;
      report.problems.insert(report.problems.end(), part.problems.begin(), part.problems.end());
    }
  if (report.shards == 0)
    throw DataError(fmt::format("{}: no shards{} there", folder.string(),
                                split ? fmt::format(" of the {} split", name_of(*split)) : ""));
  return report;
}

StatsReport inspect_stats(const Dataset& dataset, const ProgressSink& progress) {
  StatsReport report{.info = dataset.info(), .channels = {}, .color_values = {}, .color_vectors = {}, .class_counts = {}};
  const DatasetInfo& info = report.info;
  report.class_counts.resize(info.class_names.size());
  const int channels = static_cast<int>(info.sample[-1]);
  ChannelStatistics statistics(info.dtype, channels);
  ColorSums colors(channels);
  const bool has_colors = info.dtype == DType::u8 && channels == 3;
  std::vector<std::byte> bytes;
  for (std::int64_t index = 0; index < info.samples; ++index) {
    std::int32_t label = 0;
    dataset.read_stored(index, bytes, &label);
    std::int64_t pixels = info.sample.elements(0, info.sample.rank() - 1);
    const std::byte* image = bytes.data();
    Tensor picture;
    if (!info.encoding.empty()) {
      picture = decode_picture(bytes, dataset.where(index), channels);
      image = picture.bytes();
      pixels = picture.shape().elements(0, 2);
    }
    if (!statistics.add(image, pixels))
      throw DataError(dataset.where(index) + ": the image holds a value that is not a finite number");
    if (has_colors) colors.add(reinterpret_cast<const std::uint8_t*>(image), pixels);
    ++report.class_counts[static_cast<std::size_t>(label)];
    report_progress(progress, "statistics", index + 1, info.samples);
  }
  const auto mean = statistics.mean(), deviation = statistics.deviation();
  const auto minimum = statistics.minimum(), maximum = statistics.maximum();
  if (has_colors) {
    ColorSums::Basis basis = colors.basis();
    report.color_values = std::move(basis.values);
    report.color_vectors = std::move(basis.vectors);
  }
  for (std::size_t c = 0; c < mean.size(); ++c) report.channels.push_back({mean[c], deviation[c], minimum[c], maximum[c]});
  return report;
}

}  // namespace convoy
