#pragma once
// Messages between "devices" that are the hosts themselves: device memory is host memory, and what is enqueued has happened
// when the call returns. Ranks may be threads or processes.
#include <memory>
#include <vector>

#include "distributed/device_communicator.h"

namespace convoy {

class HostDeviceCommunicator final : public DeviceCommunicator {
 public:
  explicit HostDeviceCommunicator(Communicator& communicator) : communicator_(communicator) {}

  int rank() const override { return communicator_.rank(); }
  int size() const override { return communicator_.size(); }
  void begin_group() override {}
  void end_group() override {
    for (auto& message : group_) message->wait();
    group_.clear();
  }
  void send(const void* data, std::size_t bytes, int peer, Stream) override {
    sent_bytes += bytes;
    group_.push_back(communicator_.send(data, bytes, peer, 0));
  }
  void receive(void* data, std::size_t bytes, int peer, Stream) override {
    group_.push_back(communicator_.receive(data, bytes, peer, 0));
  }
  void all_reduce_fast(float* values, std::size_t elements, Stream) override {
    communicator_.all_reduce_fast({values, elements});
  }
  bool can_be_captured() const override { return true; }
  std::string error() override { return {}; }
  void abort() noexcept override {}
  std::string library_version() const override { return "host"; }

  std::size_t sent_bytes = 0;

 private:
  Communicator& communicator_;
  std::vector<RequestPtr> group_;
};

}  // namespace convoy
