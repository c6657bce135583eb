#include "io/parts_dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "core/random/philox.h"
#include "core/random/sha256.h"
#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "io/crc32c.h"
#include "io/hdf5.h"
#include "io/hdf5_contents.h"
#include "io/rehearsal.h"
#include "io/viewed_dataset.h"

namespace convoy {
namespace {

static_assert(std::endian::native == std::endian::little, "samples are stored and checksummed in little-endian order");

class PartsDataset : public Dataset {
 public:
  PartsDataset(DatasetContent content, std::vector<std::int64_t> ids)
      : content_(std::move(content)),
        ids_(std::move(ids)),
        image_bytes_(static_cast<std::size_t>(content_.info.sample.elements()) * size_of(content_.info.dtype)) {
    for (const DatasetPart& part : content_.parts) names_.push_back(part.file.filename().string());
  }

  const DatasetInfo& info() const override { return content_.info; }
  std::size_t image_bytes() const override { return image_bytes_; }

  void read_view(std::int64_t index, const ChooseView&, std::byte*, std::int32_t*) const override {
    throw Error(where(index) + ": a view was asked for, but the data set was opened without a size");
  }
  std::int64_t id(std::int64_t index) const override { return ids_.empty() ? index : ids_[std::size_t(index)]; }
  std::int32_t label(std::int64_t index) const override { return content_.labels[std::size_t(id(index))]; }

  void read(std::int64_t index, std::byte* image, std::int32_t* label) const override {
    if (!content_.info.encoding.empty())
      throw UsageError(fmt::format("{} holds encoded pictures: give the extents of samples with --data.size=N", where(index)));
    const Place place = find(index);
    *label = content_.labels[std::size_t(place.stored)];
    read_and_verify(index, place, image, image_bytes_, *label);
  }

  void read_stored(std::int64_t index, std::vector<std::byte>& bytes, std::int32_t* label) const override {
    const Place place = find(index);
    *label = content_.labels[std::size_t(place.stored)];
    bytes.resize(place.part.images->size_bytes(place.stored - place.part.first));
    read_and_verify(index, place, bytes.data(), bytes.size(), *label);
  }

  std::string where(std::int64_t index) const override {
    const std::int64_t stored = id(index);
    const DatasetPart& part = part_of(stored);
    return fmt::format("{}, sample {}", original_of(part.file).string(), stored - part.first);
  }

 private:
  struct Place {
    std::int64_t stored;
    const DatasetPart& part;
  };

  Place find(std::int64_t index) const {
    if (index < 0 || index >= content_.info.samples)
      throw Error(fmt::format("sample {} of a split of {} samples was asked for", index, content_.info.samples));
    const std::int64_t stored = id(index);
    return {stored, part_of(stored)};
  }

  void read_and_verify(std::int64_t index, const Place& place, std::byte* out, std::size_t size_bytes, std::int32_t label) const {
    trace::doing(trace::Activity::input, names_[std::size_t(&place.part - content_.parts.data())],
                 static_cast<std::int64_t>(size_bytes));
    std::string why;
    if (!place.part.images->read(place.stored - place.part.first, out, why))
      throw DataError(fmt::format("{}: cannot be read: {}", where(index), why));
    if (content_.crcs.empty()) return;
    const std::uint32_t expected = content_.crcs[std::size_t(place.stored)];
    const std::uint32_t found = crc32c(&label, sizeof label, crc32c(out, size_bytes));
    if (found != expected)
      throw DataError(fmt::format("{}: damaged: its CRC-32C is {:08x}, but {:08x} was stored. Run `convoy data verify` for "
                                  "the full list, then copy or import this file again",
                                  where(index), found, expected));
  }

  /// The user knows the original, not its staged copy.
  std::filesystem::path original_of(const std::filesystem::path& file) const {
    for (const auto& original : content_.originals)
      if (original.filename() == file.filename()) return original;
    return file;
  }

  const DatasetPart& part_of(std::int64_t stored) const {
    const auto after = std::upper_bound(content_.parts.begin(), content_.parts.end(), stored,
                                        [](std::int64_t value, const DatasetPart& part) { return value < part.first; });
    return *std::prev(after);
  }

  DatasetContent content_;
  std::vector<std::int64_t> ids_;  // of each index; empty: the index itself
  std::size_t image_bytes_;
  std::vector<std::string> names_;  // of the parts' files, for the trace
};

std::string fingerprint_of(const DatasetContent& content) {
  Sha256 hash;
  hash.update(fmt::format("convoy-data-1\n{} {} {}\n", content.info.samples, name_of(content.info.dtype),
                          content.info.sample.str()));
  if (!content.info.encoding.empty()) hash.update(content.info.encoding + "\n");
  hash.update(content.crcs.data(), content.crcs.size() * sizeof content.crcs[0]);
  hash.update(content.content_digest);
  return hex(hash.finish());
}

}  // namespace

bool is_held_out(std::int64_t id, double share) {
  static const RandomKey key(0, "validation");
  return key.child(static_cast<std::uint64_t>(id)).uniform_double(0) < share;
}

std::unique_ptr<Dataset> make_parts_dataset(DatasetContent content, Selection selection, double share) {
  if (!(share >= 0 && share < 1))
    throw UsageError(fmt::format("data.validation is {}, expected a share from 0 to below 1", share));
  std::vector<std::int64_t> ids;
  DatasetInfo& info = content.info;
  info.stored = info.sample;
  info.samples = info.stored_samples;
  if (selection != Selection::all) {
    for (std::int64_t id = 0; id < info.stored_samples; ++id)
      if (is_held_out(id, share) == (selection == Selection::held_out)) ids.push_back(id);
    info.samples = static_cast<std::int64_t>(ids.size());
  }
  if (info.samples == 0)
    throw UsageError(fmt::format("data.validation = {} of {} samples leaves no sample {}", share, info.stored_samples,
                                 selection == Selection::held_out ? "for validation" : "to train on"));
  for (double& deviation : info.channel_std)
    if (deviation == 0) deviation = 1;
  info.fingerprint = fingerprint_of(content);
  return std::make_unique<PartsDataset>(std::move(content), std::move(ids));
}

std::string about_originals(std::string message, const DatasetContent& content) {
  if (!content.stage) return message;
  for (std::size_t i = 0; i < content.originals.size(); ++i) {
    const std::string copy = content.stage->files()[i].string(), original = content.originals[i].string();
    for (std::size_t at = message.find(copy); at != std::string::npos; at = message.find(copy, at + original.size()))
      message.replace(at, copy.size(), original);
  }
  return message;
}

std::vector<std::filesystem::path> staged(const std::vector<std::filesystem::path>& files, const DatasetOptions& options,
                                          DatasetContent& content) {
  StageMode mode = options.stage;
  if (mode == StageMode::automatic) {
    std::int64_t size_bytes = 0;
    for (const auto& file : files) size_bytes += static_cast<std::int64_t>(std::filesystem::file_size(file));
    mode = fits_in_memory(size_bytes) ? StageMode::ram : StageMode::none;
  }
  if (mode == StageMode::none) return files;
  if (mode == StageMode::disk && options.stage_folder.empty())
    throw UsageError("staging to a local disk needs a folder: --data.stage=DIR");
  const bool in_memory = mode == StageMode::ram;
  content.originals = files;
  content.stage = std::make_unique<Stage>(
      Stage::copy(files, in_memory ? memory_folder() : options.stage_folder, in_memory));
  return content.stage->files();
}

namespace {

std::unique_ptr<Dataset> open_as_named(const DatasetOptions& options, bool rehearsal) {
  return options.images.empty() ? open_shards(options) : open_foreign(options, rehearsal);
}

/// A file where convoy's own shards, a folder, were expected.
void refuse_unnamed_file(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return;
  throw DataError(fmt::format("{} is a file; convoy's own data sets are folders of shards. To read it as it is, name its "
                              "datasets: --data.images=/x --data.labels=/y; it holds {}",
                              path.string(), hdf5::list_datasets(hdf5::open_file(path))));
}

}  // namespace

std::unique_ptr<Dataset> open_dataset(const DatasetOptions& options) {
  if (options.path.empty()) throw UsageError("no data set was named; give its folder: --data.path=DIR");
  if (options.images.empty() != options.labels.empty())
    throw UsageError("foreign HDF5 needs both names: --data.images=/x and --data.labels=/y");
  rehearse(options.path.string(), [&] {
    if (options.images.empty()) refuse_unnamed_file(options.path);
    DatasetOptions in_place = options;
    in_place.stage = StageMode::none;
    open_as_named(in_place, true);
  });
  auto dataset = open_as_named(options, false);
  if (options.size[0] == 0 && options.size[1] == 0) return dataset;
  return make_viewed_dataset(std::move(dataset), options);
}

}  // namespace convoy
