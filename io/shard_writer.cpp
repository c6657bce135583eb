#include "io/shard_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/random/sha256.h"
#include "core/tensor/error.h"
#include "io/crc32c.h"
#include "io/files.h"
#include "io/hdf5.h"
#include "io/partial_file.h"
#include "io/shard.h"
#include "io/statistics.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlockBytes = std::size_t{4} << 20;  // images written with one call

Shape rows_of(const Shape& sample, std::int64_t rows) {
  std::vector<std::int64_t> extents{rows};
  extents.insert(extents.end(), sample.extents().begin(), sample.extents().end());
  return Shape(extents);
}

void remove_quietly(const fs::path& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
}

/// What an import that died left behind.
void remove_partial_files(const fs::path& folder, Split split) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(kPartialSuffix)) continue;
    const auto shard = parse_shard_name(name.substr(0, name.size() - std::strlen(kPartialSuffix)));
    if (shard && shard->split == split) remove_quietly(entry.path());
  }
}

}  // namespace

struct ShardWriter::State {
  State(fs::path where, SplitSpec given)
      : folder(std::move(where)), spec(std::move(given)), statistics(spec.dtype, spec.sample[-1]) {}
  ~State() {
    images = {};
    file.reset();
    if (!committed)
      for (const fs::path& path : partial_files) remove_quietly(path);
  }

  std::int64_t first(std::int64_t index) const { return first_sample(index, spec.shards, spec.samples); }
  void start_shard();
  void flush_block();
  void finish_shard();

  fs::path folder;
  SplitSpec spec;
  ChannelStatistics statistics;
  ColorSums colors{3};
  bool has_colors = false;      // pictures of uint8 with 3 channels
  std::size_t image_bytes = 0;
  std::vector<std::int64_t> class_counts;
  std::vector<fs::path> partial_files;
  bool sealed = false, committed = false;
  std::int64_t added = 0;       // samples in all
  // The shard being written.
  std::int64_t shard = 0;
  std::unique_ptr<PartialFile> file;
  hdf5::Dataset images;
  Tensor block;                 // [rows, s.., c]
  std::int64_t block_first = 0;  // row of the shard at which the block starts
  std::int64_t block_rows = 0;
  std::vector<std::int32_t> labels;
  std::vector<std::uint32_t> crcs;
  std::uint32_t images_crc = 0;
  Sha256 set_hash;              // over the crcs of all shards
};

void ShardWriter::State::start_shard() {
  const fs::path path = folder / (shard_name(spec.split, shard, spec.shards) + kPartialSuffix);
  partial_files.push_back(path);
  file = std::make_unique<PartialFile>(path, hdf5::DescriptorFile::Mode::create);
  const std::int64_t rows = first(shard + 1) - first(shard);
  images = hdf5::create_dataset(file->get(), "images", spec.dtype, rows_of(spec.sample, rows));
  block_first = block_rows = 0;
  images_crc = 0;
  labels.clear();
  crcs.clear();
}

void ShardWriter::State::flush_block() {
  if (block_rows == 0) return;
  hdf5::write_rows(images, block_first, block.slice(0, block_rows));
  file->check();
  images_crc = crc32c(block.bytes(), static_cast<std::size_t>(block_rows) * image_bytes, images_crc);
  block_first += block_rows;
  block_rows = 0;
}

void ShardWriter::State::finish_shard() {
  flush_block();
  const auto rows = static_cast<std::int64_t>(labels.size());
  hdf5::write_number(images.get(), "crc32c", images_crc);
  hdf5::write_dataset(file->get(), "labels", Tensor::view(labels.data(), Shape{rows}, DType::i32));
  hdf5::write_dataset(file->get(), "crc32c", Tensor::view(crcs.data(), Shape{rows}, DType::u32));
  set_hash.update(crcs.data(), crcs.size() * sizeof crcs[0]);
  images = {};
  file->close();
  file.reset();
  ++shard;
}

ShardWriter::ShardWriter(const fs::path& folder, SplitSpec spec) {
  if (spec.samples < 1) throw UsageError(fmt::format("the {} split has no samples", name_of(spec.split)));
  if (spec.shards < 1 || spec.shards > spec.samples)
    throw UsageError(fmt::format("{} samples cannot be cut into {} shards; choose 1 to {}", spec.samples, spec.shards,
                                 spec.samples));
  state_ = std::make_unique<State>(folder, std::move(spec));
  State& s = *state_;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw UsageError(fmt::format("{}: cannot be made: {}", folder.string(), error.message()));
  remove_partial_files(folder, s.spec.split);
  s.image_bytes = static_cast<std::size_t>(s.spec.sample.elements()) * size_of(s.spec.dtype);
  s.class_counts.resize(s.spec.class_names.size());
  s.has_colors = s.spec.dtype == DType::u8 && s.spec.sample.rank() == 3 && s.spec.sample[2] == 3;
  const auto rows = std::clamp<std::size_t>(kBlockBytes / std::max<std::size_t>(s.image_bytes, 1), 1, 4096);
  s.block = Tensor(rows_of(s.spec.sample, static_cast<std::int64_t>(rows)), s.spec.dtype);
}

ShardWriter::~ShardWriter() = default;
ShardWriter::ShardWriter(ShardWriter&&) noexcept = default;

void ShardWriter::add(const std::byte* image, std::int32_t label, const std::string& where) {
  State& s = *state_;
  if (s.added == s.spec.samples) throw Error(fmt::format("{}: more samples than the {} announced", where, s.added));
  if (label < 0 || static_cast<std::size_t>(label) >= s.class_counts.size())
    throw DataError(fmt::format("{}: label {}, but there are {} classes (0 to {}). Correct the label, or give the names "
                                "of all classes with --class-names",
                                where, label, s.class_counts.size(), s.class_counts.size() - 1));
  if (!s.statistics.add(image, s.spec.sample.elements(0, s.spec.sample.rank() - 1)))
    throw DataError(fmt::format("{}: the image holds a value that is not a finite number", where));
  if (s.has_colors) s.colors.add(reinterpret_cast<const std::uint8_t*>(image), s.spec.sample.elements(0, 2));
  if (!s.file) s.start_shard();
  std::memcpy(s.block.bytes() + static_cast<std::size_t>(s.block_rows) * s.image_bytes, image, s.image_bytes);
  s.crcs.push_back(crc32c(&label, sizeof label, crc32c(image, s.image_bytes)));
  s.labels.push_back(label);
  ++s.class_counts[static_cast<std::size_t>(label)];
  ++s.added;
  if (++s.block_rows == s.block.shape()[0]) s.flush_block();
  if (s.added == s.first(s.shard + 1)) s.finish_shard();
}

std::vector<double> ShardWriter::channel_mean() const { return state_->statistics.mean(); }
std::vector<double> ShardWriter::channel_std() const { return state_->statistics.deviation(); }

ColorSums::Basis ShardWriter::color_basis() const {
  return state_->has_colors ? state_->colors.basis() : ColorSums::Basis{};
}

void ShardWriter::seal(const std::vector<double>& mean, const std::vector<double>& deviation, const ColorSums::Basis& basis) {
  State& s = *state_;
  if (s.added != s.spec.samples)
    throw Error(fmt::format("{}: {} samples were announced, {} came", s.folder.string(), s.spec.samples, s.added));
  const std::string set_sha256 = hex(s.set_hash.finish());
  for (std::int64_t index = 0; index < s.spec.shards; ++index) {
    const fs::path& path = s.partial_files[static_cast<std::size_t>(index)];
    PartialFile file(path, hdf5::DescriptorFile::Mode::change);
    write_shard_header(file.get(), {.task = "classification",
                                    .split = s.spec.split,
                                    .shard_index = index,
                                    .shard_count = s.spec.shards,
                                    .num_samples = s.first(index + 1) - s.first(index),
                                    .total_samples = s.spec.samples,
                                    .class_names = s.spec.class_names,
                                    .channel_mean = mean,
                                    .channel_std = deviation,
                                    .source = s.spec.source,
                                    .created_by = created_by(),
                                    .encoding = {},
                                    .color_values = basis.values,
                                    .color_vectors = basis.vectors,
                                    .set_sha256 = set_sha256});
    file.close();
    sync_to_disk(path);
  }
  s.sealed = true;
}

SplitReport ShardWriter::commit() {
  State& s = *state_;
  if (!s.sealed) throw Error("a split must be sealed before it is committed");
  SplitReport report{.split = s.spec.split,
                     .samples = s.spec.samples,
                     .files = {},
                     .channel_mean = channel_mean(),
                     .channel_std = channel_std(),
                     .class_counts = s.class_counts};
  report.files = publish_shards(s.folder, s.spec.split, s.partial_files);
  s.committed = true;
  for (const fs::path& file : report.files) report.size_bytes += static_cast<std::int64_t>(fs::file_size(file));
  return report;
}

int default_shards(std::int64_t samples, std::size_t image_bytes) {
  constexpr std::int64_t kShardBytes = std::int64_t{128} << 20;
  const std::int64_t bytes = samples * static_cast<std::int64_t>(image_bytes);
  const std::int64_t wanted = std::clamp<std::int64_t>((bytes + kShardBytes - 1) / kShardBytes, 4, 1024);
  return static_cast<int>(std::clamp<std::int64_t>(wanted, 1, std::max<std::int64_t>(samples, 1)));
}

}  // namespace convoy
