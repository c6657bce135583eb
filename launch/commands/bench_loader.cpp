// convoy bench loader: what one thread delivers, beside a bare pread.
#include "io/bench_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "core/backend/backend.h"
#include "core/graph/program.h"
#include "core/tensor/error.h"
#include "io/bench_decode.h"
#include "launch/commands/bench.h"
#include "launch/data_options.h"
#include "launch/errors.h"

namespace convoy {
namespace {

/// The op `prepare` on the cpu backend: what a training step does first with a micro-batch.
class Preparation {
 public:
  Preparation(const DatasetInfo& info, std::int64_t rows, const AugmentOptions& augment, bool normalize) {
    std::vector<std::int64_t> extents{rows};
    extents.insert(extents.end(), info.sample.extents().begin(), info.sample.extents().end());
    Graph graph(DType::f32);
    images_ = graph.add_input("images", Shape(extents), info.dtype);
    transforms_ = graph.add_input("transforms", {rows, 4}, DType::i32);
    PrepareAttributes attributes;
    attributes.axes = info.sample.rank() - 1;
    for (int axis = 0; axis < attributes.axes; ++axis) {
      const auto crop = augment.crop[axis];
      attributes.size[static_cast<std::size_t>(axis)] = crop == 0 ? info.sample[axis] : crop;
    }
    const auto channels = static_cast<std::size_t>(info.sample[attributes.axes]);
    attributes.mean = normalize ? info.channel_mean : std::vector<double>(channels, 0.0);
    attributes.deviation = normalize ? info.channel_std : std::vector<double>(channels, 1.0);
    const Value prepared = graph.add(OpKind::prepare, attributes, {images_, transforms_});
    backend_ = make_cpu_backend();
    program_ = std::make_unique<Program>(graph, *backend_, ProgramOptions{.keep = {prepared}});
  }

  void run(const MicroBatch& batch) {
    program_->bind_memory(images_, const_cast<std::byte*>(batch.images.bytes()));  // inputs are read only
    program_->bind_memory(transforms_, const_cast<std::byte*>(batch.transforms.bytes()));
    program_->run();
  }

 private:
  Value images_, transforms_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Program> program_;
};

/// Of the data set that is measured: the one named, or one made of --input's extents.
DatasetInfo measured_info(const Config& config, LoaderBenchOptions& options) {
  if (!options.data.path.empty()) return open_dataset(options.data)->info();
  const auto extents = config.get<std::vector<std::int64_t>>("input");
  if (extents.size() < 2 || extents.size() > 4) {
    throw UsageError(fmt::format("input has {} numbers: expected 1 to 3 extents, then the channels, as 28x28x1",
                                 extents.size()));
  }
  options.sample = Shape(extents);
  DatasetInfo info;
  info.sample = options.sample;
  info.channel_mean.assign(static_cast<std::size_t>(extents.back()), 127.5);
  info.channel_std.assign(static_cast<std::size_t>(extents.back()), 73.9);  // of uniform bytes
  return info;
}

void print_text(const LoaderBenchResult& result, const LoaderBenchOptions& options) {
  fmt::print("{} samples of {} {}, one thread, {} repetitions, alternating; samples/s\n", result.samples,
             result.sample.str(), name_of(result.dtype), options.repetitions);
  fmt::print("{:<52} {:>11} {:>11} {:>11} {:>8}\n", "", "median", "least", "most", "of pread");
  const double yardstick = median(result.pread);
  const std::pair<const char*, const std::vector<double>*> rows[] = {
      {"pread alone", &result.pread},
      {"read: pread, checksum", &result.read},
      {"loader: order, pread, checksum, micro-batch", &result.loader},
      {"loader, then crop, flip and normalisation", &result.consumed}};
  for (const auto& [name, rates] : rows) {
    const auto [least, most] = std::minmax_element(rates->begin(), rates->end());
    fmt::print("{:<52} {:>11.0f} {:>11.0f} {:>11.0f} {:>7.0f}%\n", name, median(*rates), *least, *most,
               100 * median(*rates) / yardstick);
  }
}

void print_text(const DecodeBenchResult& result, const DecodeBenchOptions& options) {
  fmt::print("{} JPEG pictures of {:.0f} KB to samples {}, one thread, {} repetitions, alternating; pictures/s\n", result.samples,
             result.picture_bytes / 1e3, result.sample.str(), options.repetitions);
  fmt::print("{:<52} {:>11} {:>11} {:>11} {:>8}\n", "", "median", "least", "most", "of whole");
  const double yardstick = median(result.whole);
  const std::pair<const char*, const std::vector<double>*> rows[] = {
      {"read alone: pread, checksum", &result.stored},
      {"decoded whole at full size, and no more", &result.whole},
      {"loader: view decoded, resampled, colours", &result.loader},
      {"loader, then crop, flip and normalisation", &result.consumed}};
  for (const auto& [name, rates] : rows) {
    const auto [least, most] = std::minmax_element(rates->begin(), rates->end());
    fmt::print("{:<52} {:>11.0f} {:>11.0f} {:>11.0f} {:>7.0f}%\n", name, median(*rates), *least, *most,
               100 * median(*rates) / yardstick);
  }
}

int run_decoding(const Config& config) {
  DecodeBenchOptions options;
  options.data.path = config.get<std::filesystem::path>("data.path");
  options.data.split = split_of(config.get<std::string>("data.split"));
  options.data.validation = config.get<double>("data.validation");
  set_view(config, options.data);
  if (options.data.size[0] == 0) options.data.size[0] = options.data.size[1] = 224;
  if (config.given("input")) options.picture = Shape(config.get<std::vector<std::int64_t>>("input"));
  options.order = config.get<std::string>("data.order");
  options.rows = config.get<std::int64_t>("batch");
  options.repetitions = config.get<int>("repetitions");
  DatasetInfo info;
  if (!options.data.path.empty()) {
    info = open_dataset(options.data)->info();
  } else {
    info.sample = Shape{options.data.size[0], options.data.size[1], options.picture[-1]};
    info.channel_mean.assign(static_cast<std::size_t>(options.picture[-1]), 128);
    info.channel_std.assign(static_cast<std::size_t>(options.picture[-1]), 64);
    info.color_values = {4096, 400, 40};  // some basis: data.color-noise costs the same with any
    info.color_vectors = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    info.has_views = true;
  }
  options.augment = augment_options(config, info, 1);
  Preparation preparation(info, options.rows, options.augment, config.get<bool>("data.normalize"));
  options.consume = [&preparation](const MicroBatch& batch) { preparation.run(batch); };
  const DecodeBenchResult result = bench_decode(options);
  if (config.get<std::string>("format") == "json")
    fmt::print("{}\n", to_json(result));
  else
    print_text(result, options);
  return kDone;
}

int run(const Config& config) {
  if (config.get<std::string>("decode") == "jpeg") return run_decoding(config);
  if (!config.get<std::vector<std::int64_t>>("data.size").empty())
    throw UsageError("data.size brings pictures to one size, which bench loader measures with --decode=jpeg; add it");
  LoaderBenchOptions options;
  options.data.path = config.get<std::filesystem::path>("data.path");
  options.data.images = config.get<std::string>("data.images");
  options.data.labels = config.get<std::string>("data.labels");
  options.data.validation = config.get<double>("data.validation");
  options.data.split = split_of(config.get<std::string>("data.split"));
  options.order = config.get<std::string>("data.order");
  options.rows = config.get<std::int64_t>("batch");
  options.repetitions = config.get<int>("repetitions");
  const DatasetInfo info = measured_info(config, options);
  options.augment = augment_options(config, info, 1);
  Preparation preparation(info, options.rows, options.augment, config.get<bool>("data.normalize"));
  options.consume = [&preparation](const MicroBatch& batch) { preparation.run(batch); };
  const LoaderBenchResult result = bench_loader(options);
  if (config.get<std::string>("format") == "json") {
    fmt::print("{}\n", to_json(result));
  } else {
    print_text(result, options);
  }
  return kDone;
}

}  // namespace

Action bench_loader_action() {
  return {
      .path = "bench loader",
      .summary = "samples per second of one thread, beside a bare pread",
      .usage = "bench loader [--data.path=DIR] [--input=224x224x3] [--data.crop=N --data.pad=N --data.flip] [--decode=jpeg]",
      .description =
          "Reads a data set in shuffled order with one thread: by pread(2) alone at offsets known before; with "
          "the "
          "checksum verified; through the loader (order, read, checksum, random transform drawn, micro-batch "
          "handed out); and through the loader with crop, flip and normalisation computed. The ways alternate "
          "in "
          "each repetition. Without --data.path it makes a data set of --input's extents and removes it "
          "afterwards. The files are in the page cache: this measures the loader, not the disk.\n\n"
          "--decode=jpeg measures a set of encoded pictures instead: read alone; each decoded whole; the views of the training "
          "stream (data.size, 224 unless given, data.view, ...); and those with crop, flip and normalisation.",
      .examples =
          "convoy bench loader --data.path=data/fashion-mnist\n"
          "convoy bench loader --input=224x224x3 --data.pad=4 --data.crop=224 --data.flip\n"
          "convoy bench loader --decode=jpeg --data.path=data/photos --data.size=224 --data.view=random-resized-crop",
      .run = run};
}

}  // namespace convoy
