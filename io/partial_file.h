#pragma once
// A shard in the making. HDF5 writes it through a descriptor of ours, for it crashes when its own writes fail. Private to io.
#include <filesystem>

#include "io/files.h"
#include "io/hdf5_descriptor.h"

namespace convoy {

class PartialFile {
 public:
  /// Throws LibraryError.
  PartialFile(std::filesystem::path path, hdf5::DescriptorFile::Mode mode);
  hid_t get() const { return file_.get(); }
  /// Throws LibraryError if any write so far failed.
  void check() const;
  /// The same once everything was written.
  void close();

 private:
  std::filesystem::path path_;
  FileDescriptor descriptor_;
  hdf5::DescriptorFile file_;
};

}  // namespace convoy
