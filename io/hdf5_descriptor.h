#pragma once
// A new HDF5 file written through a descriptor of ours, past HDF5's own file driver. HDF5 (1.10.8) cannot live with a
// failed write: closing the file flushes what cannot be written, fails, keeps the file open, and the process crashes at
// exit when the library tries again. So this driver never tells HDF5: it remembers the first error, takes every later
// write without doing it, and lets the owner ask. Private to io, like io/hdf5.h.
#include <filesystem>

#include "io/hdf5.h"

namespace convoy::hdf5 {

class DescriptorFile {
 public:
  enum class Mode { create, change };
  /// Starts an HDF5 file (or, with Mode::change, goes on with one that is whole), with the format bounds of create_file, in the (empty) file behind `descriptor`, which must stay
  /// open; `path` is for messages. Throws LibraryError.
  DescriptorFile(int descriptor, const std::filesystem::path& path, Mode mode = Mode::create);
  DescriptorFile(const DescriptorFile&) = delete;
  DescriptorFile& operator=(const DescriptorFile&) = delete;

  hid_t get() const { return file_.get(); }
  /// Flushes and closes; the content is right only if error() is then 0. Throws LibraryError for HDF5's own failures.
  void close();
  /// errno of the first write that failed; 0: none did.
  int error() const { return error_; }

 private:
  int error_ = 0;  // outlives file_, whose driver writes to it
  File file_;
};

/// Opens the HDF5 file behind a descriptor, which must stay open, for reading: one that has no name of its own, say.
/// `name` is for messages. Throws DataError as open_file does.
File open_descriptor(int descriptor, const std::filesystem::path& name);

}  // namespace convoy::hdf5
