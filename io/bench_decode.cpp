#include "io/bench_decode.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "io/bench_loader.h"
#include "io/bench_parts.h"
#include "io/import/import.h"
#include "io/jpeg.h"
#include "io/picture_bytes.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kSeed = 1;

/// Waves and a little noise: at quality 90 about as many bits a pixel as a photograph.
Tensor made_picture(const Shape& extents, std::int64_t number) {
  Tensor picture(extents, DType::u8);
  auto pixels = picture.values<std::uint8_t>();
  std::uint32_t state = static_cast<std::uint32_t>(number) + 1;
  for (std::int64_t i = 0, n = picture.elements(), c = extents[2], w = extents[1]; i < n; ++i) {
    const auto x = static_cast<double>(i / c % w), y = static_cast<double>(i / c / w);
    state = state * 1664525 + 1013904223;
    const double wave = std::sin(0.043 * x + static_cast<double>(i % c)) * std::cos(0.031 * y + static_cast<double>(number));
    pixels[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(std::lround(128 + 96 * wave) + static_cast<int>(state >> 28) - 8);
  }
  return picture;
}

/// As a user makes one: a folder of files, imported.
void make_dataset(const fs::path& folder, const DecodeBenchOptions& options) {
  if (options.picture.rank() != 3 || (options.picture[2] != 1 && options.picture[2] != 3))
    throw UsageError(fmt::format("pictures {} cannot be JPEG: expected height, width and 1 or 3 channels", options.picture.str()));
  const fs::path source = folder / "source";
  fs::create_directories(source / "class");
  for (std::int64_t i = 0; i < options.samples; ++i) {
    const auto bytes = encode_jpeg(made_picture(options.picture, i), 85);
    std::FILE* file = std::fopen((source / "class" / fmt::format("{:05}.jpg", i)).c_str(), "wb");
    const bool written = file && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    if ((file && std::fclose(file) != 0) || !written) throw LibraryError(fmt::format("{}: pictures cannot be written there", source.string()));
  }
  ImportOptions import;
  import.source = source;
  import.output = folder;
  import.encoding = "jpeg";
  import.channels = static_cast<int>(options.picture[2]);
  import_image_folder(import);
}

}  // namespace

DecodeBenchResult bench_decode(const DecodeBenchOptions& options) {
  if (options.rows < 1 || options.repetitions < 1 || !(options.seconds > 0))
    throw UsageError("bench loader: rows, repetitions and seconds must be above 0");
  std::unique_ptr<ScratchFolder> scratch;
  DatasetOptions data = options.data;
  if (data.path.empty()) {
    scratch = std::make_unique<ScratchFolder>(options.folder);
    data.path = scratch->path();
    make_dataset(data.path, options);
  }
  const std::unique_ptr<Dataset> dataset = open_dataset(data);
  const DatasetInfo& info = dataset->info();
  if (info.encoding != "jpeg" || !info.has_views)
    throw UsageError(fmt::format("{}: bench loader --decode=jpeg needs JPEG pictures and data.size", data.path.string()));
  DecodeBenchResult result{.sample = info.sample, .samples = info.samples};
  const std::int64_t n = info.samples, rows = std::min(options.rows, n);
  std::vector<std::byte> bytes;
  std::int32_t label = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    dataset->read_stored(i, bytes, &label);
    result.picture_bytes += static_cast<double>(bytes.size()) / static_cast<double>(n);
  }
  const SampleOrder order(kSeed, n, options.order);
  const auto each_row = [&](std::int64_t batch, const auto& use) {
    for (std::int64_t row = 0; row < rows; ++row) {
      dataset->read_stored(order.index_at((batch * rows + row) % n), bytes, &label);
      use();
    }
  };
  const int channels = static_cast<int>(info.sample[2]);
  JpegDecoder decoder;
  const auto stored_batch = [&](std::int64_t batch) { each_row(batch, [] {}); };
  const auto whole_batch = [&](std::int64_t batch) {
    each_row(batch, [&] {
      const JpegHeader header = decoder.open(bytes, "a picture");
      decoder.decode({0, 0, header.height, header.width}, 1, channels);
    });
  };
  const TrainingStream stream{.order_seed = kSeed, .order = options.order, .augment = options.augment, .batch = rows,
                              .last_step = std::int64_t{1} << 40};
  const auto loader = make_training_loader(*dataset, stream, {.threads = 0});
  std::int64_t step = 0;
  const auto loader_batch = [&](std::int64_t) { loader->next(step++, 0); };
  const auto consume_batch = [&](std::int64_t) { options.consume(*loader->next(step++, 0)); };
  rate(options.seconds, rows, loader_batch);  // memory that is kept from picture to picture
  for (int round = 0; round < options.repetitions; ++round) {
    result.stored.push_back(rate(options.seconds / 5, rows, stored_batch));
    result.whole.push_back(rate(options.seconds, rows, whole_batch));
    result.loader.push_back(rate(options.seconds, rows, loader_batch));
    if (options.consume) result.consumed.push_back(rate(options.seconds, rows, consume_batch));
  }
  return result;
}

std::string to_json(const DecodeBenchResult& result) {
  nlohmann::ordered_json json{{"sample", result.sample.extents()}, {"samples", result.samples}, {"picture_bytes", result.picture_bytes}};
  const auto add = [&](const char* name, const std::vector<double>& rounds) {
    if (!rounds.empty()) json[name] = {{"median", median(rounds)}, {"rounds", rounds}};
  };
  add("stored", result.stored);
  add("whole", result.whole);
  add("loader", result.loader);
  add("consumed", result.consumed);
  return json.dump();
}

}  // namespace convoy
