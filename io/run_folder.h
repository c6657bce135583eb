#pragma once
// The folder of a run, runs/NAME/: the config as used, metrics.jsonl, status.json, checkpoints/, pictures. Rank 0 alone
// makes this object; it holds the folder's lock (io/run_lock.h) until it goes.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/checkpoint.h"
#include "io/run_lock.h"

namespace convoy {

/// How a run ended: status.json. It is written when a run ends and removed when one starts, so that a missing file
/// means a crash (or a run that is still going).
struct RunStatus {
  int status = 0;           // exit status: 0 done, 1 failed, 2 usage, 3 bad data, 75 stopped by a signal
  std::string reason;       // one sentence
  std::int64_t step = 0;    // steps done
  double epoch = 0;
  std::string checkpoint;   // newest checkpoint, relative to the run folder; empty: none
  int rank = -1;            // the rank that failed; -1: none
  std::string time;         // UTC, "2025-01-31T12:00:00Z"; filled in by write_status
  bool again = true;        // of a failure: whether another life may get further; false where it would meet the same
};

/// Throws UsageError unless `name` can be a folder's name in runs/: 1 to 200 letters, digits, '.', '_', '-', '+', '=',
/// ',' or '@', not beginning with '.' or '-'.
void check_run_name(std::string_view name);

/// "lenet-5-20250131-120000" (UTC), with "-2", "-3", ... where that folder exists already. Characters of `label` that
/// no run name has become '-'.
std::string default_run_name(const std::filesystem::path& runs, std::string_view label);

class RunFolder {
 public:
  /// What is trained there: a model, whose checkpoints lie in checkpoints/, or an ensemble, whose members have run folders of their
  /// own in members/.
  enum class Kind { model, ensemble };

  /// Makes `runs`/`name` and locks it. Throws UsageError for a bad name, a folder in use or one of the other kind, LibraryError
  /// naming the folder when it cannot be made.
  RunFolder(const std::filesystem::path& runs, const std::string& name, Kind kind = Kind::model);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  CheckpointFolder checkpoints() const { return CheckpointFolder(path_ / "checkpoints"); }
  /// Throws LibraryError where the folder was moved or removed since: its lock then guards nothing, and another run may
  /// have begun under its name.
  void check_still_there() const;
  /// News for the user from the constructor: a file system without locks.
  const std::vector<std::string>& warnings() const { return warnings_; }

  /// A run from step 0. Empties metrics.jsonl and removes status.json. Throws UsageError when the folder holds a
  /// checkpoint that verifies, for it would mix with the new ones; damaged ones are set aside. Returns warnings for the
  /// user.
  std::vector<std::string> start_fresh();
  /// A run that goes on from `step`: cuts metrics.jsonl after it, sets later checkpoints aside, removes status.json.
  /// Returns warnings for the user.
  std::vector<std::string> continue_from(std::int64_t step);

  /// The same for a run of members: removes status.json. `anew`: removes ensemble.h5, too; UsageError where a member holds a checkpoint.
  void start_members(bool anew);

  /// config.cfg: the config as used. An earlier, different one is kept as config-1.cfg, config-2.cfg, ...
  void write_config(std::string_view text);
  /// Appends one record, a JSON object on one line, to metrics.jsonl; it is with the operating system on return. The
  /// field "step", where there is one, counts steps done, as in checkpoints. Throws UsageError for anything else.
  void append_metrics(std::string_view json);
  /// Writes status.json by rename, with the time of now.
  void write_status(RunStatus status);

 private:
  void cut_metrics_after(std::int64_t step);
  void open_metrics(bool empty);
  void remove_status();

  std::filesystem::path path_;
  std::unique_ptr<RunLock> lock_;
  std::vector<std::string> warnings_;
  int metrics_ = -1;  // descriptor
};

/// Writes status.json of a run folder as RunFolder does, for a rank that takes the place of one that can no longer: the
/// folder must exist.
void write_status(const std::filesystem::path& run_folder, RunStatus status);

/// status.json of a run folder; none if there is no such file. Throws DataError for a damaged one.
std::optional<RunStatus> read_status(const std::filesystem::path& run_folder);

}  // namespace convoy
