#pragma once
// Checkpoint files (design: section 7): one HDF5 file a snapshot, verified on load, written so that a crash at any
// moment leaves the previous one whole.
//
// Format, version 1. All numbers little-endian, all datasets contiguous, all strings of fixed length (UTF-8, padded
// with NUL), superblock version 2 or later (HDF5 then checksums its own metadata).
//   /parameters/<name>, /optimizer/<slot>/<name>, /state/<name>, /averages/<name>   tensors; a "/" in a name makes a
//       group. bfloat16 is stored as uint16 with the attribute dtype="bfloat16".
//   /ledgers        uint64 [n, 4]: epoch, count, sum, xor
//   /skipped_steps  int64 [n]
//   /run_record, /config, /metrics   texts: scalar strings; the run record is a JSON object of strings
//   /mode    likewise a JSON object of strings; only where the mode of training keeps anything
//   attributes of /: format="convoy-checkpoint", version, step, updates, loss_scale, loss_scale_counter, best_metric
//       and best_step (both or neither), graph_hash, world_size, epoch, content_crc32c
//   every dataset has the attribute crc32c (uint32): CRC-32C of its bytes as stored. Beside it stands word_sums (uint64
//       [2], io/word_sums.h), which files of older versions lack: loading does not need it, a repair is checked by it.
//   content_crc32c: CRC-32C of the sorted lines of the digest below (with the tensor's CRC-32C in eight hexadecimal
//       digits in place of its SHA-256) and of the lines "@graph_hash", "@world_size", "@epoch", "@config",
//       "@metrics"; it protects the attributes, and notices a dataset that is missing, added or moved.
// A reader refuses a higher version, ignores unknown attributes of "/" and refuses unknown datasets. A writer that was
// killed leaves at most a hidden `*.convoy-tmp`, never a `step-*.h5` that is not whole.
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

/// All that a run needs to go on. Names of tensors: parts joined by "/", no part empty, "." or "..", no control
/// characters; no name may be another one's folder ("conv1" beside "conv1/filters"). Texts: UTF-8 without NUL.
struct Checkpoint {
  std::map<std::string, Tensor> parameters;    // "conv1/filters"
  std::map<std::string, Tensor> optimizer;     // "momentum/conv1/filters"
  std::map<std::string, Tensor> state;         // "bn1/mean"
  std::map<std::string, Tensor> averages;
  std::int64_t step = 0;                       // steps done
  std::int64_t updates = 0;                    // optimizer's update counter (skipped updates do not count)
  double loss_scale = 1;
  std::int64_t loss_scale_counter = 0;
  std::vector<EpochLedger> ledgers;
  std::optional<std::pair<double, std::int64_t>> best;  // metric, step
  std::vector<std::int64_t> skipped_steps;
  RunRecord run_record;
  /// What a mode of training keeps besides (asynchronous runs: the units that are done, clocks); empty in synchronous runs.
  std::map<std::string, std::string> mode;
  // Not part of the digest:
  std::string config;                          // the whole config as text
  std::string graph_hash;
  int world_size = 1;
  std::string metrics;                         // JSON text
  double epoch = 0;
};

/// Digest (design: section 7), 64 hexadecimal digits: SHA-256 over the following lines, sorted by their bytes, each
/// ended by "\n", fields separated by one tab (written as a space here):
///   parameters/conv1/filters float32 [32, 5, 5, 1] <SHA-256 of the little-endian bytes, in hexadecimal>
///       and so for optimizer/, state/ and averages/
///   @step 1200                 @updates 1199                 @loss_scale_counter 3        decimal integers
///   @loss_scale 3ff0000000000000    the 64 bits of the IEEE 754 double, sixteen hexadecimal digits
///   @best 3fed70a3d70a3d71 1000     metric as above, step; or "@best none"
///   @ledger 0 3 60000 1799970000 0  position in the list, epoch, count, sum, xor; one line for each open epoch
///   @skipped 0 17                   position in the list, step; one line for each skipped step
///   @mode clock 120,118             name, value, escaped likewise; none in synchronous runs
///   @run_record batch 256           name, value; in both, "\", newline, tab and carriage return are written \\ \n \t \r
/// No NaN can occur (writing refuses them), and nothing depends on platform, world size, config text or metrics.
/// Throws UsageError for what write_checkpoint refuses.
std::string digest_of(const Checkpoint& checkpoint);

/// Writes to a temporary name, flushes, syncs, renames, syncs the folder. Returns bytes written. Throws Error (disk
/// full, ...) naming the file, leaves no temporary file behind and the old file of this name as it was. UsageError: a
/// tensor without storage, a name or text that the format cannot hold, a NaN among the state attributes.
std::int64_t write_checkpoint(const std::filesystem::path& file, const Checkpoint& checkpoint);

/// Reads and verifies everything. Throws DataError naming the file and the dataset or attribute that fails. Never
/// allocates more than the file's size for its contents, follows no soft or external link, and runs no filter.
Checkpoint read_checkpoint(const std::filesystem::path& file);

/// The differences between two run records as sentences: `precision: the checkpoint has "fp32", this run "bf16"`.
/// Empty: the bits stay.
std::vector<std::string> compare_run_records(const RunRecord& saved, const RunRecord& current);

/// The checkpoints folder of a run. One process at a time saves into it (io/run_lock.h).
///
/// The best checkpoint is known twice: by the symbolic link `best`, and by the best step that every checkpoint records
/// in itself, which holds when the link was lost or copied away.
class CheckpointFolder {
 public:
  /// Creates nothing; the first save makes the folder.
  explicit CheckpointFolder(std::filesystem::path folder);
  std::filesystem::path file_for(std::int64_t step) const;   // step-00012000.h5
  /// Writes, moves `latest` (and `best` if is_best), deletes what is neither among the `keep` >= 1 newest nor best nor
  /// pinned nor later than this step, and removes temporaries of writers that died. Files that are no checkpoints are not touched.
  /// Nothing is deleted before the new file is safe; if writing throws, all stands as before. UsageError for keep < 1.
  std::filesystem::path save(const Checkpoint& checkpoint, int keep, bool is_best) const;
  /// Steps present, newest first. Not verified.
  std::vector<std::int64_t> steps() const;
  /// The newest that verifies, with its path; damaged ones are reported in `warnings`. None: no usable checkpoint.
  std::optional<std::pair<std::filesystem::path, Checkpoint>> newest_valid(std::vector<std::string>& warnings) const;
  /// The file of the best checkpoint, if one was named best and is still there. Not verified.
  std::optional<std::filesystem::path> best() const;
  /// No later save deletes `file`, one of this folder's checkpoints (by the symbolic link `pinned`; the newest pin counts): another file
  /// refers to it.
  void pin(const std::filesystem::path& file) const;
  /// For a run that goes on from `step`: later checkpoints (of an abandoned continuation, or damaged) are renamed to
  /// `*.set-aside`, so that no later resume takes them. -1: all. Returns a warning for each.
  std::vector<std::string> set_aside_after(std::int64_t step) const;

 private:
  std::filesystem::path folder_;
};

/// A checkpoint as the user names it: a file; a run folder or its checkpoints folder (best, else latest valid).
/// Throws UsageError when there is no such file or folder, DataError when the folder holds no usable checkpoint. `passed_over`:
/// receives a sentence for each newer checkpoint that is damaged.
std::filesystem::path resolve_checkpoint(const std::filesystem::path& path, std::vector<std::string>* passed_over = nullptr);

}  // namespace convoy
