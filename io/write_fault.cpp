#include "io/write_fault.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

namespace convoy {
namespace {

thread_local bool is_faulty = false;
thread_local WriteFaultSpec fault;

/// How many of the bytes may be written now; 0: errno says why none may.
std::size_t bytes_before_fault(std::size_t size_bytes, std::int64_t offset) {
  if (offset < fault.at_byte) return std::min(size_bytes, static_cast<std::size_t>(fault.at_byte - offset));
  std::this_thread::sleep_for(std::exchange(fault.delay, std::chrono::milliseconds(0)));
  errno = fault.error_number;
  return fault.error_number == 0 ? size_bytes : 0;
}

}  // namespace

WriteFault::WriteFault(const WriteFaultSpec& spec) {
  fault = spec;
  is_faulty = true;
}

WriteFault::~WriteFault() { is_faulty = false; }

ssize_t write_at(int descriptor, const void* data, std::size_t size_bytes, std::int64_t offset) {
  if (is_faulty && size_bytes > 0) {
    size_bytes = bytes_before_fault(size_bytes, offset);
    if (size_bytes == 0) return -1;
  }
  return pwrite(descriptor, data, size_bytes, offset);
}

}  // namespace convoy
