#pragma once
// How fast one thread delivers samples, beside a bare pread: the library part of `convoy bench loader`.
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "io/loader.h"

namespace convoy {

struct LoaderBenchOptions {
  /// The data set to read; with an empty path one is made for the measurement, of `sample` and `samples`, in a new folder
  /// below `folder`, and removed afterwards.
  DatasetOptions data;
  Shape sample{28, 28, 1};
  std::int64_t samples = 0;               // 0: 60,000, or fewer to stay within 256 MiB
  std::filesystem::path folder;           // empty: the system's temporary folder
  std::string order = "full-v1";
  AugmentOptions augment;                 // for `consume`; the others deliver samples as stored
  std::int64_t rows = 32;                 // samples per micro-batch
  double seconds = 0.1;                   // of each measurement
  int repetitions = 15;                   // rounds; each measures everything once, in turn, so that noise hits all alike
  /// What a consumer does with a micro-batch, such as crop, flip and normalise; empty: not measured.
  std::function<void(const MicroBatch&)> consume;
};

/// Samples per second of each round, all by one thread in the same shuffled order, the files in the page cache.
struct LoaderBenchResult {
  Shape sample;
  DType dtype = DType::u8;
  std::int64_t samples = 0;
  std::vector<double> loader;             // next(): order, pread, CRC-32C, micro-batch handed out
  std::vector<double> read;               // Dataset::read in an order known before: pread, CRC-32C
  std::vector<double> pread;              // pread(2) alone, offsets known before, into the same number of buffers
  std::vector<double> consumed;           // next() with transforms drawn, then `consume`; empty without it
};

/// Throws UsageError for impossible options and for foreign HDF5, DataError as open_dataset does.
LoaderBenchResult bench_loader(const LoaderBenchOptions& options);

double median(std::vector<double> values);
/// One JSON object: sample, type, samples, and for each contender its rounds and their median (samples per second).
std::string to_json(const LoaderBenchResult& result);

}  // namespace convoy
