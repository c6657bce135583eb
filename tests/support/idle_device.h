#pragma once
// A device with memory that never does anything, nor gets done.
#include "core/backend/device.h"

namespace convoy::test {

class IdleDevice : public Device {
 public:
  std::string name() const override { return "idle"; }
  bool is_host() const override { return false; }
  std::size_t total_memory_bytes() const override { return 0; }
  DeviceMemory allocate(std::size_t bytes) override { return host_->allocate(bytes); }
  DeviceMemory allocate_staging(std::size_t bytes) override { return host_->allocate(bytes); }
  void copy(Stream, void*, const void*, std::size_t) override {}
  void fill_zero(Stream, void*, std::size_t) override {}
  void add(Stream, float*, const float*, const float*, std::size_t, SumRounding) override {}
  void fold(Stream, float*, const float*, std::size_t, const FoldTable&, SumRounding) override {}
  void pack_bf16(Stream, std::uint16_t*, const float*, std::size_t) override {}
  void unpack_bf16(Stream, float*, const std::uint16_t*, std::size_t) override {}
  std::unique_ptr<Event> make_event() override { return host_->make_event(); }
  void record(Stream, Event&) override {}
  void wait(Stream, const Event&) override {}
  bool done(const Event&) override { return false; }
  void synchronize(Stream) override {}
  std::unique_ptr<Replay> capture(const std::function<void()>&) override { return nullptr; }
  void* native_stream(Stream) override { return nullptr; }

 private:
  std::unique_ptr<Device> host_ = make_host_device();
};

}  // namespace convoy::test
