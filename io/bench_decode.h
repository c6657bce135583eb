#pragma once
// How many encoded pictures a second one thread turns into samples: the library part of `convoy bench loader --decode=jpeg`.
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "io/loader.h"

namespace convoy {

struct DecodeBenchOptions {
  /// An encoded data set and the size of its samples; with an empty path one of JPEG pictures is made for the measurement, of
  /// the extents `picture`, in a new folder below `folder`, and removed afterwards.
  DatasetOptions data;
  Shape picture{375, 500, 3};
  std::int64_t samples = 200;             // of the set that is made
  std::filesystem::path folder;           // empty: the system's temporary folder
  std::string order = "full-v1";
  AugmentOptions augment;
  std::int64_t rows = 32;                 // samples per micro-batch
  double seconds = 0.5;                   // of each measurement
  int repetitions = 7;                    // rounds; each measures everything once, in turn
  /// What a consumer does with a micro-batch, such as crop, flip and normalise; empty: not measured.
  std::function<void(const MicroBatch&)> consume;
};

/// Samples per second of each round, all by one thread in the same shuffled order, the files in the page cache.
struct DecodeBenchResult {
  Shape sample;
  std::int64_t samples = 0;
  double picture_bytes = 0;               // mean of the encoded pictures
  std::vector<double> stored;             // read, CRC-32C verified, not decoded
  std::vector<double> whole;              // decoded whole at full size, nothing more
  std::vector<double> loader;             // the views of the training stream: partial decoding, resampling, colours
  std::vector<double> consumed;           // the same, then `consume`; empty without it
};

/// Throws UsageError for impossible options and for data that are not encoded, DataError as open_dataset does.
DecodeBenchResult bench_decode(const DecodeBenchOptions& options);

/// One JSON object, as to_json(LoaderBenchResult).
std::string to_json(const DecodeBenchResult& result);

}  // namespace convoy
