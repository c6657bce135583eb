#include "io/bench_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "io/bench_parts.h"
#include "io/files.h"
#include "io/hdf5.h"
#include "io/shard.h"
#include "io/shard_writer.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostBytes = std::int64_t{256} << 20;
constexpr std::uint64_t kSeed = 1;

void make_dataset(const fs::path& folder, const Shape& sample, std::int64_t samples) {
  ShardWriter writer(folder, {.split = Split::train,
                              .sample = sample,
                              .dtype = DType::u8,
                              .samples = samples,
                              .shards = static_cast<int>(std::min<std::int64_t>(4, samples)),
                              .class_names = {"0"},
                              .source = "bench loader"});
  std::vector<std::byte> image(static_cast<std::size_t>(sample.elements()));
  std::uint32_t state = 1;
  for (std::int64_t i = 0; i < samples; ++i) {
    for (std::byte& byte : image) byte = static_cast<std::byte>((state = state * 1664525 + 1013904223) >> 24);
    writer.add(image.data(), 0, "sample");
  }
  writer.seal(writer.channel_mean(), writer.channel_std());
  writer.commit();
}

/// Where the samples of contiguous shards lie.
class PlainFiles {
 public:
  PlainFiles(const DatasetOptions& options, std::size_t image_bytes) : image_bytes_(image_bytes) {
    for (const fs::path& path : find_shards(options.path, options.split)) {
      const hdf5::File file = hdf5::open_file(path);
      const hdf5::Dataset images = hdf5::open_dataset(file.get(), "images");
      const haddr_t start = H5Dget_offset(images.get());
      if (start == HADDR_UNDEF) throw UsageError(fmt::format("{}: not contiguous, so no bare pread to compare", path.string()));
      files_.push_back(open_for_reading(path));
      for (std::int64_t row = 0; row < hdf5::shape_of(images)[0]; ++row)
        places_.push_back({files_.back().get(), static_cast<std::int64_t>(start) + row * std::int64_t(image_bytes)});
    }
  }
  void read(std::int64_t id, std::byte* out) const {
    const Place& place = places_[static_cast<std::size_t>(id)];
    std::string why;
    if (!read_exactly(place.descriptor, out, image_bytes_, place.offset, why)) throw DataError(why);
  }

 private:
  struct Place {
    int descriptor;
    std::int64_t offset;
  };
  std::size_t image_bytes_;
  std::vector<FileDescriptor> files_;
  std::vector<Place> places_;
};

}  // namespace

LoaderBenchResult bench_loader(const LoaderBenchOptions& options) {
  if (options.rows < 1 || options.repetitions < 1 || !(options.seconds > 0))
    throw UsageError("bench loader: rows, repetitions and seconds must be above 0");
  if (!options.data.images.empty())
    throw UsageError("bench loader compares with pread, which needs convoy's own shards: import the set first");
  std::unique_ptr<ScratchFolder> scratch;
  DatasetOptions data = options.data;
  if (data.path.empty()) {
    scratch = std::make_unique<ScratchFolder>(options.folder);
    data.path = scratch->path();
    const std::int64_t fitting = std::max<std::int64_t>(kMostBytes / std::max<std::int64_t>(options.sample.elements(), 1), 1);
    make_dataset(data.path, options.sample, options.samples ? options.samples : std::min<std::int64_t>(60'000, fitting));
  }
  const std::unique_ptr<Dataset> dataset = open_dataset(data);
  LoaderBenchResult result{.sample = dataset->info().sample, .dtype = dataset->info().dtype, .samples = dataset->info().samples};
  const std::int64_t n = result.samples, rows = std::min(options.rows, n);
  const PlainFiles plain(data, dataset->image_bytes());
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  SampleOrder(kSeed, n, options.order).indices(0, order);
  // Aligned as the loader's buffers are: the kernel copies markedly slower to others.
  Tensor buffer(Shape{rows * static_cast<std::int64_t>(dataset->image_bytes())}, DType::u8);
  std::int64_t position = 0;
  const auto each_row = [&](const auto& read) {
    for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row, position = position + 1 < n ? position + 1 : 0)
      read(order[static_cast<std::size_t>(position)], buffer.bytes() + row * dataset->image_bytes());
  };
  const auto plain_batch = [&](std::int64_t) {
    each_row([&](std::int64_t index, std::byte* out) { plain.read(dataset->id(index), out); });
  };
  const auto read_batch = [&](std::int64_t) {
    std::int32_t label = 0;
    each_row([&](std::int64_t index, std::byte* out) { dataset->read(index, out, &label); });
  };
  TrainingStream stream{.order_seed = kSeed, .order = options.order, .batch = rows, .last_step = std::int64_t{1} << 40};
  const auto loader = make_training_loader(*dataset, stream, {.threads = 0});
  stream.augment = options.augment;
  const auto augmenting_loader = make_training_loader(*dataset, stream, {.threads = 0});
  std::int64_t step = 0;
  const auto loader_batch = [&](std::int64_t) { loader->next(step++, 0); };
  const auto consume_batch = [&](std::int64_t) { options.consume(*augmenting_loader->next(step++, 0)); };
  rate(options.seconds, rows, plain_batch);  // brings the files into the page cache
  rate(options.seconds, rows, loader_batch);
  for (int round = 0; round < options.repetitions; ++round) {
    result.pread.push_back(rate(options.seconds, rows, plain_batch));
    result.loader.push_back(rate(options.seconds, rows, loader_batch));
    result.read.push_back(rate(options.seconds, rows, read_batch));
    if (options.consume) result.consumed.push_back(rate(options.seconds, rows, consume_batch));
  }
  return result;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::string to_json(const LoaderBenchResult& result) {
  nlohmann::ordered_json json;
  json["sample"] = result.sample.extents();
  json["type"] = std::string(name_of(result.dtype));
  json["samples"] = result.samples;
  const auto add = [&](const char* name, const std::vector<double>& rounds) {
    if (!rounds.empty()) json[name] = {{"median", median(rounds)}, {"rounds", rounds}};
  };
  add("loader", result.loader);
  add("read", result.read);
  add("pread", result.pread);
  add("consumed", result.consumed);
  return json.dump();
}

}  // namespace convoy
