#pragma once
// Messages between the devices of a communicator's ranks, enqueued on a stream like a kernel: the call returns at once,
// and what it moves is device memory. Implemented by NCCL (nccl/, a module loaded at run time).
//
// Threads: one at a time; error() and abort() may be called by another.
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "core/backend/device.h"
#include "distributed/communicator.h"

namespace convoy {

class DeviceCommunicator {
 public:
  virtual ~DeviceCommunicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Sends and receives between the two calls go out together, on one stream: each rank's sends must find their receives in
  /// the same group of the peer. Those between two ranks meet in the order of the calls. Outside of a group: Error.
  virtual void begin_group() = 0;
  virtual void end_group() = 0;
  virtual void send(const void* data, std::size_t bytes, int peer, Stream on) = 0;
  virtual void receive(void* data, std::size_t bytes, int peer, Stream on) = 0;
  /// The library's own sum, in place: bits depend on size().
  virtual void all_reduce_fast(float* values, std::size_t elements, Stream on) = 0;
  /// Whether all of this may stand in Device::capture.
  virtual bool can_be_captured() const = 0;
  /// What went wrong since, in the library's words; empty: nothing.
  virtual std::string error() = 0;
  /// Ends what is under way, here and so at the peers that wait for it; nothing but the destructor is allowed afterwards.
  /// Returns at once, also inside a capture and while graphs that were captured still exist. The destructor waits for the end,
  /// with a deadline; destroy what was captured before.
  virtual void abort() noexcept = 0;
  virtual std::string library_version() const = 0;
};

}  // namespace convoy
