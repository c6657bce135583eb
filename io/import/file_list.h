#pragma once
// The files that an import found, on disk: their number must not show in memory. Two files in the folder of the import:
// NAME.names, the paths one after the other, and NAME.index, a record of fixed size for each. Private to io/import.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "core/random/sha256.h"
#include "io/files.h"

namespace convoy {

struct ListedFile {
  std::filesystem::path file;
  std::int32_t label = 0;
  std::int64_t size_bytes = 0;
  std::int64_t changed_ns = 0;  // time of the last change, to see on resuming whether the file is still the same
};

class FileListWriter {
 public:
  /// Throws LibraryError.
  explicit FileListWriter(std::filesystem::path base);
  void add(const ListedFile& file);
  std::int64_t count() const { return count_; }
  std::int64_t size_bytes() const { return size_bytes_; }  // of all files
  /// Brings all to the files; the digest of the list. Throws LibraryError.
  std::string close();

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::filesystem::path base_;
  std::unique_ptr<std::FILE, Close> names_, index_;
  Sha256 digest_;
  std::int64_t count_ = 0, size_bytes_ = 0;
  std::uint64_t end_ = 0;  // of the names so far
};

/// Any number of threads at once.
class FileList {
 public:
  /// Throws DataError.
  explicit FileList(const std::filesystem::path& base);
  std::int64_t size() const { return size_; }
  ListedFile at(std::int64_t index) const;

 private:
  FileDescriptor names_, index_;
  std::int64_t size_ = 0;
};

}  // namespace convoy
