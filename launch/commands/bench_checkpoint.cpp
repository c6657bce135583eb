// convoy bench checkpoint: checkpoints beside the disk's own speed.
#include "io/bench_checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "launch/commands/bench.h"
#include "launch/errors.h"

namespace convoy {
namespace {

struct Spread {
  double least = 0, median = 0, most = 0;  // bytes per second
};

Spread spread_of(std::vector<double> rates) {
  std::sort(rates.begin(), rates.end());
  const std::size_t half = rates.size() / 2;
  const double median = rates.size() % 2 == 1 ? rates[half] : (rates[half - 1] + rates[half]) / 2;
  return {rates.front(), median, rates.back()};
}

int run(const Config& config) {
  CheckpointBenchOptions options;
  options.folder = config.get<std::filesystem::path>("output");
  options.size_bytes = config.get<std::int64_t>("bytes");
  options.tensors = config.get<int>("tensors");
  options.repeats = config.get<int>("repetitions");
  const CheckpointBenchResult result = bench_checkpoint(options);
  const std::pair<const char*, const std::vector<double>*> rows[] = {
      {"save", &result.save},
      {"write and fsync alone", &result.raw_write},
      {"load", &result.load},
      {"read alone", &result.raw_read},
      {"stall of a save", &result.stall},
      {"copy alone", &result.raw_copy},
      {"save in the background", &result.background}};
  const bool as_json = config.get<std::string>("format") == "json";
  nlohmann::ordered_json json = {{"file_bytes", result.file_bytes}, {"repetitions", options.repeats}};
  if (!as_json) {
    fmt::print("a checkpoint of {} bytes, {} repetitions, alternating; MB/s\n", result.file_bytes,
               options.repeats);
    fmt::print("{:<24} {:>10} {:>10} {:>10} {:>10}\n", "", "median", "least", "most", "median ms");
  }
  for (const auto& [name, rates] : rows) {
    const Spread spread = spread_of(*rates);
    json["results"].push_back({{"name", name},
                               {"median_bytes_per_second", spread.median},
                               {"least_bytes_per_second", spread.least},
                               {"most_bytes_per_second", spread.most},
                               {"median_seconds", static_cast<double>(result.file_bytes) / spread.median}});
    if (!as_json) {
      fmt::print("{:<24} {:>10.1f} {:>10.1f} {:>10.1f} {:>10.1f}\n", name, spread.median / 1e6, spread.least / 1e6,
                 spread.most / 1e6, 1e3 * static_cast<double>(result.file_bytes) / spread.median);
    }
  }
  if (as_json) fmt::print("{}\n", json.dump(2));
  return kDone;
}

}  // namespace

Action bench_checkpoint_action() {
  return {.path = "bench checkpoint",
          .summary = "saving and loading a checkpoint beside plain writes and reads",
          .usage = "bench checkpoint [--output=DIR] [--bytes=N] [--tensors=N] [--repetitions=N]",
          .description =
              "Saves a checkpoint of N bytes to DIR (with its checksums, HDF5 and fsync) and loads it\n"
              "again, in turn with write(2) + fsync and read(2) of the same bytes. Checks that what was\n"
              "loaded is what was saved. Reads come from the page cache. Then saves in the background, as a\n"
              "run does: the stall is what training waits for (its tensors are copied), beside a plain\n"
              "memcpy by one thread. Leaves no file behind.",
          .examples = "convoy bench checkpoint --output=runs --bytes=500000000",
          .run = run};
}

}  // namespace convoy
