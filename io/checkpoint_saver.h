#pragma once
// Checkpoints written in the background: the trainer waits only while its tensors are copied, and a thread writes the
// copy while training goes on.
//
// One thread calls save() and reserve(); every other function may be called from any thread at any time, and none of
// them but wait() and wait_for() waits for a disk. At most one write is under way: a save that comes earlier waits for
// it. The copy has buffers of its own, taken at the first save (or by reserve) and used again for every later one.
//
// A write that fails does not throw: training goes on, the folder stands as before (newest(), the links and the files
// of earlier saves), the error is in the report, and the next save tries again.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace convoy {

struct SaveOptions {
  bool is_best = false;      // move the link `best` to it
  bool with_digest = false;  // compute digest_of the copy, in the background
};

/// One save that has ended.
struct SaveReport {
  std::filesystem::path file;
  std::int64_t step = 0;
  bool is_best = false;
  std::int64_t bytes = 0;      // of the file; 0 where it failed
  double copy_seconds = 0;     // in save(): copying
  double wait_seconds = 0;     // in save(): waiting for the write before
  double write_seconds = 0;    // in the background: checksums, HDF5, fsync, links, removal of old files
  std::string digest;          // where asked for; also where the write failed
  std::string error;           // empty: complete and on the disk
  int error_number = 0;        // errno where the system refused (ENOSPC, EIO, EROFS, ...); else 0

  bool good() const { return error.empty(); }
  /// What the save cost the trainer.
  double stall_seconds() const { return copy_seconds + wait_seconds; }
};

/// What a thread that ends the run wants to know.
struct SaverStatus {
  std::optional<std::filesystem::path> newest;  // as newest()
  std::int64_t newest_step = -1;                // -1: none
  std::int64_t writing_step = -1;               // under way; -1: none
  double writing_seconds = 0;                   // for so long
  std::int64_t saved = 0, failed = 0;           // saves so far
  std::string last_error;                       // of the newest save, if that failed
};

class CheckpointSaver {
 public:
  static constexpr std::chrono::seconds kPatience{10};
  /// As CheckpointFolder::save: `keep` newest are kept. Throws UsageError for keep < 1. Touches no file.
  CheckpointSaver(CheckpointFolder folder, int keep, std::chrono::milliseconds patience = kPatience);
  CheckpointSaver(const CheckpointSaver&) = delete;
  CheckpointSaver& operator=(const CheckpointSaver&) = delete;
  /// Waits for the write under way; where an exception is passing, or after abandon(), for at most `patience`. A write
  /// that then still hangs (a lost file system) is left behind: end such a process with _exit.
  ~CheckpointSaver();

  /// Takes the memory of the copy now, so that the first save is as short as the others. Throws std::bad_alloc.
  void reserve(const Checkpoint& like);

  /// Copies everything (tensors too: they may change as soon as this returns) and starts writing. Waits for the write
  /// before. Throws UsageError for what write_checkpoint refuses as impossible, before anything is started.
  void save(const Checkpoint& borrowed, SaveOptions options);
  void save(const Checkpoint& borrowed, bool is_best) { save(borrowed, SaveOptions{is_best, false}); }

  /// Until all is written (or has failed).
  void wait();
  /// The same, for at most so long. Whether all is written.
  bool wait_for(std::chrono::duration<double> limit);

  /// The saves that ended since the last call, oldest first.
  std::vector<SaveReport> take_reports();
  /// The file completely written last by this object; none: no save has been completed yet.
  std::optional<std::filesystem::path> newest() const;
  SaverStatus status() const;

  /// Fault injection: what the writing thread calls, before the first save: at the beginning of a save (fraction 0), as
  /// it writes, and with 1 when the file is complete and about to get its name.
  void observe_writes(std::function<void(double fraction)> observer);
  /// Fault injection: each of the next `count` writes fails with this errno at about byte `at_byte` of its file (-1: in
  /// the middle), through the same path as a real error of the disk.
  void inject_write_error(int error_number, int count = 1, std::int64_t at_byte = -1);
  /// Each of the next `count` writes hangs for so long about its middle, and then goes on, as on a slow disk. This and
  /// inject_write_error each take the other's place.
  void inject_write_delay(std::chrono::milliseconds delay, int count = 1);
  /// The destructor will wait for `patience` at most.
  void abandon();

 private:
  struct Shared;  // what both threads use; outlives this object where a write hangs
  std::shared_ptr<Shared> shared_;
  const int exceptions_;
  const std::chrono::milliseconds patience_;
};

}  // namespace convoy
