#pragma once
// Looks after a device communicator while its messages are under way: a thread that asks for errors, because a host that
// waits for a device in a call of the driver hears of none, and the kernels of a broken exchange never end by themselves.
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "distributed/device_communicator.h"

namespace convoy {

class CommunicatorWatch {
 public:
  /// Looks every `interval`. At the first error it aborts the communicator, which ends what waits for it on the device, and
  /// looks no more.
  explicit CommunicatorWatch(DeviceCommunicator& communicator,
                             std::chrono::milliseconds interval = std::chrono::milliseconds(50));
  ~CommunicatorWatch();
  CommunicatorWatch(const CommunicatorWatch&) = delete;
  CommunicatorWatch& operator=(const CommunicatorWatch&) = delete;

  /// Throws the LibraryError that was found, each time. Any thread.
  void check() const;

 private:
  void look();

  DeviceCommunicator& communicator_;
  const std::chrono::milliseconds interval_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  bool stop_ = false;
  std::exception_ptr error_;
  std::thread thread_;  // last: it uses all the others
};

}  // namespace convoy
