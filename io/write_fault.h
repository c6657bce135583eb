#pragma once
// Fault injection for files: the writes of one thread fail as if the disk had refused them. All content of files made
// by io/atomic_file.h, and of HDF5 files written through io/hdf5_descriptor.h, passes here. Private to io.
#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace convoy {

struct WriteFaultSpec {
  int error_number = 0;          // what writes beyond at_byte fail with; 0: they do not
  std::chrono::milliseconds delay{0};  // how long the first write beyond at_byte hangs before
  std::int64_t at_byte = 0;      // of the file
};

/// While it lives, it holds for the writes of the calling thread. The bytes before at_byte are written all the same, as
/// on a disk that fills up. One at a time per thread.
class WriteFault {
 public:
  explicit WriteFault(const WriteFaultSpec& spec);
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
