#pragma once
// Copies files once per node to memory or to a local disk (design: section 6, data.stage). Private to io.
//
// FOLDER/KEY/ holds the copies and, once all are there and checked, `manifest` with the CRC-32C and size of each; KEY names
// the originals by path, size and time of change. FOLDER/KEY.lock is locked exclusively while copying or checking,
// and shared while in use; the system drops such locks when a process dies, so a rank that is killed while it copies
// leaves an unfinished copy that the next rank replaces.
#include <filesystem>
#include <vector>

#include "io/files.h"

namespace convoy {

/// Files in use at their staged place.
class Stage {
 public:
  Stage() = default;  // nothing staged
  /// Copies `files` below `folder`, or finds and checks the copies there. Several processes of a node: one
  /// copies, the others wait. `temporary`: the last one to leave removes the copies, and those left by processes that
  /// died are removed on arrival (for memory). Throws DataError (an original cannot be read), LibraryError (no room).
  static Stage copy(const std::vector<std::filesystem::path>& files, const std::filesystem::path& folder, bool temporary);
  Stage(Stage&&) = default;
  Stage& operator=(Stage&&) = delete;
  ~Stage();
  const std::vector<std::filesystem::path>& files() const { return files_; }

 private:
  FileLock lock_;
  std::filesystem::path content_, lock_path_;
  bool temporary_ = false;
  std::vector<std::filesystem::path> files_;
};

/// The folder for copies in memory: below /dev/shm, this user's.
std::filesystem::path memory_folder();
/// Whether `size_bytes` fit a quarter of this machine's memory (or of what its control group allows) and the free room
/// of memory_folder()'s file system.
bool fits_in_memory(std::int64_t size_bytes);

}  // namespace convoy
