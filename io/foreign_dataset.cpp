// Opens HDF5 files that others wrote, by the names of their datasets.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "core/random/sha256.h"
#include "core/tensor/error.h"
#include "io/crc32c.h"
#include "io/hdf5.h"
#include "io/hdf5_contents.h"
#include "io/inside.h"
#include "io/parts_dataset.h"
#include "io/shard.h"
#include "io/statistics.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostChannels = 4;  // that an axis is taken for channels by its extent alone

[[noreturn]] void fail(const fs::path& file, const std::string& what) {
  throw DataError(fmt::format("{}: {}", file.string(), what));
}

bool begins_with_a_split(const std::string& name) {
  return name.starts_with("train") || name.starts_with("val") || name.starts_with("test");
}

std::vector<fs::path> find_files(const fs::path& path, Split split) {
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> all, of_split;
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') || (!name.ends_with(".h5") && !name.ends_with(".hdf5"))) continue;
    refuse_link_out(path, entry.path());
    all.push_back(entry.path());
    if (name.starts_with(split == Split::validation ? "val" : name_of(split))) of_split.push_back(entry.path());
  }
  const bool named = std::any_of(all.begin(), all.end(),
                                 [](const fs::path& file) { return begins_with_a_split(file.filename().string()); });
  std::vector<fs::path>& chosen = named ? of_split : all;
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

/// The extents of one sample, with a channel axis.
Shape sample_shape(const fs::path& file, const std::string& name, const Shape& images) {
  const int axes = images.rank();
  if (axes < 3 || axes > 5)
    fail(file, fmt::format("dataset {} has the extents {}; expected [N,H,W], [N,H,W,C] or [N,D,H,W,C]", name, images.str()));
  if (axes > 3 && images[1] <= kMostChannels && images[-1] > kMostChannels)
    fail(file, fmt::format("dataset {} has the extents {}, which looks like channels first. Write it channels-last, with "
                           "h5py: f['{}_last'] = numpy.moveaxis(f['{}'][...], 1, -1)",
                           name, images.str(), name, name));
  std::vector<std::int64_t> extents(images.extents().begin() + 1, images.extents().end());
  if (axes == 3) extents.push_back(1);
  const Shape sample(extents);
  if (images.elements() == 0) fail(file, fmt::format("dataset {} {} holds nothing", name, images.str()));
  return sample;
}

std::vector<std::int32_t> read_labels(const hdf5::File& file, const fs::path& path, const std::string& name,
                                      std::int64_t expected) {
  const hdf5::Dataset dataset = hdf5::open_dataset(file.get(), name);
  const Shape shape = hdf5::shape_of(dataset);
  if (shape != Shape{expected} && shape != Shape{expected, 1})
    fail(path, fmt::format("dataset {} has the extents {}; expected one label for each of {} images: [{}]", name, shape.str(),
                           expected, expected));
  const hdf5::Type type(CONVOY_HDF5(H5Dget_type(dataset.get())));
  if (H5Tget_class(type.get()) != H5T_INTEGER) fail(path, fmt::format("dataset {}: labels must be integers", name));
  if (H5Tget_size(type.get()) > 8) fail(path, fmt::format("dataset {}: labels of more than 64 bits", name));
  hdf5::check_storage(dataset);
  Tensor wide(shape, DType::i64);
  hdf5::read_rows(dataset, 0, wide);
  std::vector<std::int32_t> labels;
  for (std::int64_t label : wide.values<std::int64_t>()) {
    if (label < 0 || label > 1'000'000)
      fail(path, fmt::format("dataset {}, sample {}: label {}; expected 0 to 1,000,000", name, labels.size(), label));
    labels.push_back(static_cast<std::int32_t>(label));
  }
  return labels;
}

/// The element type of images in memory: as stored, or float32 for small signed integers, which it holds exactly.
DType image_dtype(const fs::path& path, const std::string& name, const hdf5::Dataset& images) {
  const hdf5::Type type(CONVOY_HDF5(H5Dget_type(images.get())));
  const std::string found = hdf5::type_text(type.get());
  if (found == "int8" || found == "int16") return DType::f32;
  DType dtype{};
  if (hdf5::find_dtype(type.get(), dtype) && (dtype == DType::u8 || dtype == DType::u16 || dtype == DType::f32)) return dtype;
  fail(path, fmt::format("dataset {} has the type {}; images are read as uint8, uint16 and float32, and int8 and int16 as "
                         "float32. Convert it with h5py: f['{}_float'] = f['{}'][...].astype('float32')",
                         name, found, name, name));
}

void append_file(const fs::path& path, const DatasetOptions& options, DatasetContent& content) {
  const hdf5::File file = hdf5::open_file(path);
  hdf5::Dataset images = hdf5::open_dataset(file.get(), options.images);
  const Shape shape = hdf5::shape_of(images);
  const Shape sample = sample_shape(path, options.images, shape);
  const DType dtype = image_dtype(path, options.images, images);
  hdf5::check_storage(images);
  DatasetInfo& info = content.info;
  if (content.parts.empty()) {
    info.sample = sample;
    info.dtype = dtype;
  } else if (sample != info.sample || dtype != info.dtype) {
    fail(path, fmt::format("images of {} {}, but {} has {} {}", name_of(dtype), sample.str(),
                           content.parts.front().file.filename().string(), name_of(info.dtype), info.sample.str()));
  }
  const std::vector<std::int32_t> labels = read_labels(file, path, options.labels, shape[0]);
  content.labels.insert(content.labels.end(), labels.begin(), labels.end());
  content.parts.push_back({path, info.stored_samples, shape[0], open_store(path, std::move(images), dtype)});
  info.stored_samples += shape[0];
}

/// Statistics and checksums, of all images or of images at even distances.
void survey(DatasetContent& content) {
  DatasetInfo& info = content.info;
  const auto image_bytes = static_cast<std::size_t>(info.sample.elements()) * size_of(info.dtype);
  const std::int64_t n = info.stored_samples;
  info.verified = static_cast<__int128>(n) * static_cast<__int128>(image_bytes) <= kWholeContentBytes;
  const std::int64_t count = info.verified ? n : std::min(n, kSampledImages);
  ChannelStatistics statistics(info.dtype, info.sample[-1]);
  std::vector<std::byte> image(image_bytes);
  std::vector<std::uint32_t> crcs;
  const std::int64_t pixels = info.sample.elements(0, info.sample.rank() - 1);
  auto part = content.parts.begin();
  for (std::int64_t i = 0; i < count; ++i) {
    const auto id = count == 1 ? 0 : static_cast<std::int64_t>(static_cast<__int128>(i) * (n - 1) / (count - 1));
    while (id >= part->first + part->rows) ++part;
    std::string why;
    if (!part->images->read(id - part->first, image.data(), why))
      fail(part->file, fmt::format("sample {} cannot be read: {}", id - part->first, why));
    if (!statistics.add(image.data(), pixels))
      fail(part->file, fmt::format("sample {} holds a value that is not a finite number", id - part->first));
    const std::int32_t label = content.labels[static_cast<std::size_t>(id)];
    crcs.push_back(crc32c(&label, sizeof label, crc32c(image.data(), image_bytes)));
  }
  info.channel_mean = statistics.mean();
  info.channel_std = statistics.deviation();
  if (info.verified) {
    content.crcs = std::move(crcs);
    return;
  }
  Sha256 hash;
  hash.update("labels and sampled images\n");
  hash.update(content.labels.data(), content.labels.size() * sizeof content.labels[0]);
  hash.update(crcs.data(), crcs.size() * sizeof crcs[0]);
  content.content_digest = hex(hash.finish());
}

Selection choose(const DatasetOptions& options, bool own_files) {
  if (options.split == Split::test || own_files) return Selection::all;
  if (options.split == Split::train) return options.validation != 0 ? Selection::kept : Selection::all;
  if (options.validation != 0) return Selection::held_out;
  throw DataError(fmt::format("{}: no validation split there. Hold samples out of train: --data.validation=0.1",
                              options.path.string()));
}

}  // namespace

std::unique_ptr<Dataset> open_foreign(const DatasetOptions& options, bool rehearsal) {
  std::error_code ignored;
  if (!fs::exists(options.path, ignored)) fail(options.path, "no such file or folder");
  std::vector<fs::path> originals = find_files(options.path, options.split);
  const bool is_folder = fs::is_directory(options.path);
  const bool stored_validation = is_folder && !find_files(options.path, Split::validation).empty() &&
                                 begins_with_a_split(find_files(options.path, Split::validation).front().filename().string());
  if (originals.empty() && options.split == Split::validation) originals = find_files(options.path, Split::train);
  if (originals.empty())
    fail(options.path, fmt::format("no file *.h5 or *.hdf5 of the {} split there", name_of(options.split)));
  DatasetContent content;
  try {
    for (const fs::path& file : staged(originals, options, content)) append_file(file, options, content);
    const auto uses_hdf5 = [](const DatasetPart& part) { return part.images->uses_hdf5(); };
    if (rehearsal && std::none_of(content.parts.begin(), content.parts.end(), uses_hdf5)) return nullptr;
    survey(content);
  } catch (const DataError& error) {
    throw DataError(about_originals(error.what(), content));
  }
  DatasetInfo& info = content.info;
  info.task = "classification";
  info.shards = static_cast<int>(content.parts.size());
  const std::int32_t classes = *std::max_element(content.labels.begin(), content.labels.end()) + 1;
  for (std::int32_t i = 0; i < classes; ++i) info.class_names.push_back(std::to_string(i));
  return make_parts_dataset(std::move(content), choose(options, stored_validation), options.validation);
}

}  // namespace convoy
