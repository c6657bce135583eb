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
thread_local const std::function<void(std::int64_t)>* observed_by = nullptr;

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

WriteObserver::WriteObserver(std::function<void(std::int64_t)> observer) : observer_(std::move(observer)) {
  if (observer_) observed_by = &observer_;
}

WriteObserver::~WriteObserver() { observed_by = nullptr; }

void about_to_rename() {
  if (observed_by) (*observed_by)(-1);
}

ssize_t write_at(int descriptor, const void* data, std::size_t size_bytes, std::int64_t offset) {
  if (observed_by) (*observed_by)(offset);
  if (is_faulty && size_bytes > 0) {
    size_bytes = bytes_before_fault(size_bytes, offset);
    if (size_bytes == 0) return -1;
  }
  return pwrite(descriptor, data, size_bytes, offset);
}

}  // namespace convoy
