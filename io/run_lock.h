#pragma once
// One run folder, one writer: a lock on a file in the folder, held for the life of the object and released by the
// kernel when its process dies, however it dies. So a stale lock cannot exist.
#include <filesystem>
#include <optional>
#include <string>

namespace convoy {

class RunLock {
 public:
  /// Takes the lock on `folder`/.lock, without waiting for another run. Throws UsageError naming host and process of the holder when
  /// the folder is in use, LibraryError when the file cannot be made.
  explicit RunLock(const std::filesystem::path& folder);
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  ~RunLock();

  /// Whether `folder`/.lock is still the file whose lock is held: false where the folder was moved or removed, so that
  /// another run may have begun under its name.
  bool holds(const std::filesystem::path& folder) const;
  /// Set when the file system knows no locks (some NFS mounts): nothing then guards the folder.
  const std::optional<std::string>& warning() const { return warning_; }

 private:
  int descriptor_ = -1;
  std::optional<std::string> warning_;
};

/// Whether a process holds the lock of `folder`.
enum class LockState {
  held,
  free,     // nobody: no run is going on there
  unknown,  // no such file, or a file system without locks
};
struct LockReading {
  LockState state = LockState::unknown;
  std::string holder;  // the last to hold it: "process 4711 on host n1"; empty: unknown
};
/// Looks without writing. A run that starts in this very moment tries again (RunLock), so looking never harms one.
LockReading look_at_lock(const std::filesystem::path& folder);

}  // namespace convoy
