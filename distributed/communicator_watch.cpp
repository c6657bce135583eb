#include "distributed/communicator_watch.h"

#include <string>

#include "core/tensor/error.h"
#include "core/trace/trace.h"

namespace convoy {

CommunicatorWatch::CommunicatorWatch(DeviceCommunicator& communicator, std::chrono::milliseconds interval)
    : communicator_(communicator), interval_(interval), thread_([this] { look(); }) {}

CommunicatorWatch::~CommunicatorWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void CommunicatorWatch::check() const {
  const std::lock_guard lock(mutex_);
  if (error_) std::rethrow_exception(error_);
}

void CommunicatorWatch::look() {
  trace::name_thread("communicator watch");
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, interval_, [this] { return stop_; })) {
    lock.unlock();  // the library may take its time
    const std::string error = communicator_.error();
    lock.lock();
    if (error.empty()) continue;
    // First the words, then the abort: whoever it wakes up finds them.
    error_ = std::make_exception_ptr(
        LibraryError("the exchange between devices failed: " + error + "; the other ranks' words may tell which one began"));
    lock.unlock();
    communicator_.abort();
    return;
  }
}

}  // namespace convoy
