#include "io/shard_reader.h"

#include <fmt/format.h>

#include <cmath>

#include "core/tensor/error.h"
#include "io/hdf5_contents.h"

namespace convoy {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw DataError(fmt::format("{}: {}. Run `convoy data verify` for the full list, then import it again", path.string(),
                              what));
}

void check_header(const std::filesystem::path& path, const ShardHeader& header) {
  const auto name = parse_shard_name(path.filename().string());
  if (!name || name->split != header.split || name->index != header.shard_index || name->count != header.shard_count)
    fail(path, fmt::format("the file's name does not fit its attributes ({} shard {} of {}): it was renamed",
                           name_of(header.split), header.shard_index, header.shard_count));
  if (header.task != "classification")
    fail(path, fmt::format("task \"{}\"; this convoy trains on \"classification\"", header.task));
  if (header.class_names.empty()) fail(path, "no class names");
  if (header.num_samples < 1 || header.num_samples > header.total_samples)
    fail(path, fmt::format("num_samples is {} of {}", header.num_samples, header.total_samples));
}

void check_channels(const std::filesystem::path& path, const ShardHeader& header, std::size_t channels) {
  if (header.channel_mean.size() != channels || header.channel_std.size() != channels)
    fail(path, fmt::format("{} channels, but {} means and {} deviations", channels, header.channel_mean.size(),
                           header.channel_std.size()));
  for (std::size_t c = 0; c < channels; ++c)
    if (!std::isfinite(header.channel_mean[c]) || !(header.channel_std[c] >= 0) || std::isinf(header.channel_std[c]))
      fail(path, fmt::format("channel {} has the mean {} and the deviation {}", c, header.channel_mean[c],
                             header.channel_std[c]));
}

void check_images(const std::filesystem::path& path, const ShardHeader& header, const Shape& images, DType dtype) {
  if (images.rank() < 3 || images.rank() > 5 || images[0] != header.num_samples)
    fail(path, fmt::format("images {}; expected {} images [N,H,W,C]", images.str(), header.num_samples));
  if (images.elements() == 0) fail(path, fmt::format("images {} hold nothing", images.str()));
  if (dtype != DType::u8 && dtype != DType::u16 && dtype != DType::f32)
    fail(path, fmt::format("images of type {}; expected uint8, uint16 or float32", name_of(dtype)));
  check_channels(path, header, static_cast<std::size_t>(images[-1]));
}

template <typename T>
std::vector<T> read_list(const hdf5::File& file, const std::filesystem::path& path, const char* name,
                         std::int64_t expected) {
  const Tensor tensor = hdf5::read_dataset(file.get(), name);
  if (tensor.shape() != Shape{expected} || tensor.dtype() != dtype_of<T>())
    fail(path, fmt::format("{} are {} {}; expected {} [{}]", name, name_of(tensor.dtype()), tensor.shape().str(),
                           name_of(dtype_of<T>()), expected));
  const auto values = tensor.values<T>();
  return {values.begin(), values.end()};
}

void check_labels(const std::filesystem::path& path, const Shard& shard) {
  for (std::size_t i = 0; i < shard.labels.size(); ++i)
    if (shard.labels[i] < 0 || static_cast<std::size_t>(shard.labels[i]) >= shard.header.class_names.size())
      fail(path, fmt::format("sample {}: label {}, but class_names has {} entries", i, shard.labels[i],
                             shard.header.class_names.size()));
}

void open_encoded(const hdf5::File& file, const std::filesystem::path& path, Shard& shard) {
  check_channels(path, shard.header, static_cast<std::size_t>(shard.header.channels));
  shard.sample = Shape{0, 0, shard.header.channels};
  std::vector<std::uint64_t> offsets = read_list<std::uint64_t>(file, path, "image_offsets", shard.header.num_samples + 1);
  const hdf5::Dataset bytes = hdf5::open_dataset(file.get(), "image_bytes");
  hdf5::check_storage(bytes);
  shard.images_crc = hdf5::read_number<std::uint32_t>(bytes.get(), "crc32c");
  shard.images = open_encoded_store(path, bytes, std::move(offsets));
}

void open_pixels(const hdf5::File& file, const std::filesystem::path& path, Shard& shard) {
  hdf5::Dataset images = hdf5::open_dataset(file.get(), "images");
  const Shape shape = hdf5::shape_of(images);
  shard.dtype = hdf5::dtype_of(images);
  check_images(path, shard.header, shape, shard.dtype);
  if (hdf5::check_storage(images).filtered)
    fail(path, "images are packed by a filter; convoy's shards hold them as they are, so another program has rewritten this file");
  shard.sample = Shape(shape.extents().subspan(1));
  shard.images_crc = hdf5::read_number<std::uint32_t>(images.get(), "crc32c");
  shard.images = open_store(path, std::move(images), shard.dtype);
}

}  // namespace

Shard open_shard(const std::filesystem::path& path) {
  const hdf5::File file = hdf5::open_file(path);
  Shard shard;
  shard.header = read_shard_header(file.get());
  check_header(path, shard.header);
  shard.header.encoding.empty() ? open_pixels(file, path, shard) : open_encoded(file, path, shard);
  shard.labels = read_list<std::int32_t>(file, path, "labels", shard.header.num_samples);
  shard.crcs = read_list<std::uint32_t>(file, path, "crc32c", shard.header.num_samples);
  check_labels(path, shard);
  return shard;
}

}  // namespace convoy
