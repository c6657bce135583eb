#pragma once
// Fault injection for files: the writes of one thread fail as if the disk had refused them. All content of files made
// by io/atomic_file.h, and of HDF5 files written through io/hdf5_descriptor.h, passes here. Private to io.
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>

namespace convoy {

/// While it lives, no write of the calling thread gets beyond `at_byte` of its file: the bytes before are written, then
/// the write fails with `error_number`. One at a time per thread.
class WriteFault {
 public:
  WriteFault(int error_number, std::int64_t at_byte);
  ~WriteFault();
  WriteFault(const WriteFault&) = delete;
  WriteFault& operator=(const WriteFault&) = delete;
};

/// While it lives, it is called for the files that the calling thread writes: with the bytes of the file that lie before
/// each write, and with -1 when the file is complete and about to get its name. For faults that strike in mid-write.
class WriteObserver {
 public:
  explicit WriteObserver(std::function<void(std::int64_t offset)> observer);
  ~WriteObserver();
  WriteObserver(const WriteObserver&) = delete;
  WriteObserver& operator=(const WriteObserver&) = delete;

 private:
  std::function<void(std::int64_t)> observer_;
};

/// The file is complete: tells the calling thread's WriteObserver.
void about_to_rename();

/// pwrite(2), subject to the calling thread's WriteFault.
ssize_t write_at(int descriptor, const void* data, std::size_t size_bytes, std::int64_t offset);

}  // namespace convoy
