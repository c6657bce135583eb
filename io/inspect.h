#pragma once
// What `convoy data info | verify | stats` tell.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/dataset.h"
#include "io/import/import.h"

namespace convoy {

struct SplitInfo {
  Split split = Split::train;
  DatasetInfo info;
  std::string source, created_by;
  std::int64_t size_bytes = 0;               // of all files
  std::vector<std::filesystem::path> files;
  std::string warning;                       // what a user should know; empty: nothing
};
/// Every split that a folder of shards holds. Reads no images. Throws DataError; for a file, one that lists its datasets.
std::vector<SplitInfo> inspect_info(const std::filesystem::path& folder);
/// The same of foreign HDF5 (`images` and `labels` named).
SplitInfo inspect_foreign(const DatasetOptions& options);

/// "3 of 10 classes have no sample: ...", or empty. A class without samples is never learnt: labels that skip a number, or a
/// list of names that is too long. Reads labels only.
std::string empty_classes_warning(const Dataset& dataset);

struct VerifyProblem {
  std::filesystem::path file;
  std::int64_t sample = -1;                  // in its file; -1: the file as a whole
  std::string what;
};
struct VerifyReport {
  std::int64_t shards = 0, samples = 0;      // looked at
  std::int64_t bad_samples = 0;
  std::vector<VerifyProblem> problems;       // all of them, in order of file and sample
  bool ok() const { return problems.empty(); }
};
/// Checks every shard (all splits, or one): attributes, extents, labels, the checksum of every dataset and of every
/// sample, and that each set is whole. Goes on after a problem. Throws DataError only when the folder cannot be read or
/// holds no shards.
VerifyReport inspect_verify(const std::filesystem::path& folder, std::optional<Split> split, const ProgressSink& progress);

struct ChannelStats {
  double mean = 0, deviation = 0, minimum = 0, maximum = 0;  // in stored units
};
struct StatsReport {
  DatasetInfo info;
  std::vector<ChannelStats> channels;
  /// Of pictures of uint8 with 3 channels: the eigenvalues of the channels' covariance, largest first, and the unit
  /// eigenvectors, one after the other (data.color-noise).
  std::vector<double> color_values, color_vectors;
  std::vector<std::int64_t> class_counts;    // [class_names.size()]
};
/// Reads every image of an opened split (foreign HDF5 too). Throws DataError for a damaged sample.
StatsReport inspect_stats(const Dataset& dataset, const ProgressSink& progress);

}  // namespace convoy
