#include "io/write_fault.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace convoy {
namespace {

thread_local int fault_error = 0;  // 0: none
thread_local std::int64_t fault_at = 0;
thread_local const std::function<void(std::int64_t)>* observed_by = nullptr;

}  // namespace

WriteFault::WriteFault(int error_number, std::int64_t at_byte) {
  fault_error = error_number;
  fault_at = at_byte;
}

WriteFault::~WriteFault() { fault_error = 0; }

WriteObserver::WriteObserver(std::function<void(std::int64_t)> observer) : observer_(std::move(observer)) {
  if (observer_) observed_by = &observer_;
}

WriteObserver::~WriteObserver() { observed_by = nullptr; }

void about_to_rename() {
  if (observed_by) (*observed_by)(-1);
}

ssize_t write_at(int descriptor, const void* data, std::size_t size_bytes, std::int64_t offset) {
  if (observed_by) (*observed_by)(offset);
  if (fault_error != 0 && size_bytes > 0) {
    if (offset >= fault_at) {
      errno = fault_error;
      return -1;
    }
    size_bytes = std::min(size_bytes, static_cast<std::size_t>(fault_at - offset));
  }
  return pwrite(descriptor, data, size_bytes, offset);
}

}  // namespace convoy
