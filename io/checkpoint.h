#pragma once
// Checkpoint files (design: section 7): one HDF5 file a snapshot, verified on load, written so that a crash at any
// moment leaves the previous one whole.
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor/tensor.h"

namespace convoy {

/// Count, sum and xor of the sample ids seen in an open epoch.
struct EpochLedger {
  std::int64_t epoch = 0;
  std::uint64_t count = 0, sum = 0, exclusive_or = 0;
  friend bool operator==(const EpochLedger&, const EpochLedger&) = default;
};

/// The run record (design: section 4): what must not change if the bits are to stay. Ordered name -> value.
using RunRecord = std::map<std::string, std::string>;

/// All that a run needs to go on.
struct Checkpoint {
  std::map<std::string, Tensor> parameters;    // "conv1/filters"
  std::map<std::string, Tensor> optimizer;     // "momentum/conv1/filters"
  std::map<std::string, Tensor> state;         // "bn1/mean"
  std::map<std::string, Tensor> averages;
  std::int64_t step = 0;
  std::int64_t updates = 0;                    // optimizer's update counter (skipped updates do not count)
  double loss_scale = 1;
  std::int64_t loss_scale_counter = 0;
  std::vector<EpochLedger> ledgers;
  std::optional<std::pair<double, std::int64_t>> best;  // metric, step
  std::vector<std::int64_t> skipped_steps;
  RunRecord run_record;
  // Not part of the digest:
  std::string config;                          // the whole config as text
  std::string graph_hash;
  int world_size = 1;
  std::string metrics;                         // JSON text
  double epoch = 0;
};

/// Digest (design: section 7): SHA-256 over the sorted lines of state datasets and state attributes.
std::string digest_of(const Checkpoint& checkpoint);

/// Writes to a temporary name, flushes, renames, syncs the folder. Returns bytes written. Throws Error (disk full...)
/// and leaves no temporary file behind.
std::int64_t write_checkpoint(const std::filesystem::path& file, const Checkpoint& checkpoint);

/// Reads and verifies everything. Throws DataError naming the file and the dataset or attribute that fails.
Checkpoint read_checkpoint(const std::filesystem::path& file);

/// The checkpoints folder of a run.
class CheckpointFolder {
 public:
  explicit CheckpointFolder(std::filesystem::path folder);
  std::filesystem::path file_for(std::int64_t step) const;   // step-00012000.h5
  /// Writes, moves `latest`, and deletes all but the `keep` newest and the best.
  std::filesystem::path save(const Checkpoint& checkpoint, int keep, bool is_best) const;
  /// Steps present, newest first.
  std::vector<std::int64_t> steps() const;
  /// The newest that verifies, with its path; damaged ones are reported in `warnings`. None: no usable checkpoint.
  std::optional<std::pair<std::filesystem::path, Checkpoint>> newest_valid(std::vector<std::string>& warnings) const;
  std::optional<std::filesystem::path> best() const;

 private:
  std::filesystem::path folder_;
};

/// A checkpoint as the user names it: a file; a run folder or its checkpoints folder (best, else latest valid).
std::filesystem::path resolve_checkpoint(const std::filesystem::path& path);

}  // namespace convoy
