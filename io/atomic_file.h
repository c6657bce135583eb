#pragma once
// Files that appear whole or not at all: written under a temporary name in the same folder, synced, then renamed. A
// crash at any moment leaves either the old file or the new one, and at most a temporary that remove_dead_temporaries
// recognises.
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor/error.h"

namespace convoy {

/// The operating system refused something; the message holds its words.
class SystemError : public LibraryError {
 public:
  SystemError(const std::string& message, int number) : LibraryError(message), number_(number) {}
  /// An errno value.
  int number() const { return number_; }

 private:
  int number_;
};

/// "cannot rename FILE: No space left on device": throws SystemError. `action` is a verb, `error` an errno value.
[[noreturn]] void throw_system_error(std::string_view action, const std::filesystem::path& file, int error);

/// A file in the making. Its writer holds a lock on it (open file description lock), which dies with the process:
/// that is how a later run tells leftovers from files that somebody is writing now.
class TemporaryFile {
 public:
  /// Creates an empty, locked `.NAME.HOST-PID-N.convoy-tmp` beside `target`. Throws LibraryError naming `target`.
  explicit TemporaryFile(std::filesystem::path target);
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  /// Removes the temporary file unless it was committed.
  ~TemporaryFile();

  const std::filesystem::path& path() const { return path_; }
  int descriptor() const { return descriptor_; }
  /// Appends all bytes, or throws LibraryError naming the target.
  void write(const void* data, std::size_t size_bytes);
  /// fsync of the file, rename over the target, fsync of the folder. Throws LibraryError; the old target then stands.
  void commit();

 private:
  bool create();

  std::filesystem::path target_, path_;
  int descriptor_ = -1;
  std::int64_t size_bytes_ = 0;  // appended by write()
  bool committed_ = false;
};

/// Replaces `file` by one with this content, or throws LibraryError and leaves it as it was.
void write_file_atomically(const std::filesystem::path& file, std::string_view content);

/// Makes `link` a symbolic link to `target` (text of the link, taken as it is) by rename.
void replace_symlink(const std::filesystem::path& link, const std::filesystem::path& target);

/// fsync of a folder, so that renames and removals in it survive a power cut.
void sync_folder(const std::filesystem::path& folder);

/// Names of the temporaries of writers that are no more.
std::vector<std::string> dead_temporaries(const std::filesystem::path& folder);

/// Removes them; returns their names. Files of other names are never touched.
std::vector<std::string> remove_dead_temporaries(const std::filesystem::path& folder);

/// This machine's name without the domain; characters other than letters, digits and '_' become '_'.
std::string host_name();

}  // namespace convoy
