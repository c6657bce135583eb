// The CPU as a device: everything happens at once, on the calling thread.
#include <unistd.h>

#include <cstring>
#include <new>

#include "core/backend/device.h"
#include "core/tensor/narrow.h"

namespace convoy {
namespace {

constexpr std::align_val_t kAlignment{256};

class HostEvent final : public Event {};

class HostReplay final : public Replay {
 public:
  explicit HostReplay(std::function<void()> enqueue) : enqueue_(std::move(enqueue)) {}
  void launch() override { enqueue_(); }

 private:
  std::function<void()> enqueue_;
};

float stored(float sum, SumRounding rounding) {
  return rounding == SumRounding::bf16 ? rounded_to<Bf16>(sum) : sum;
}

class HostDevice final : public Device {
 public:
  std::string name() const override { return "host"; }
  bool is_host() const override { return true; }
  std::size_t total_memory_bytes() const override {
    return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGE_SIZE));
  }

  DeviceMemory allocate(std::size_t bytes) override {
    auto* memory = static_cast<std::byte*>(::operator new[](bytes == 0 ? 1 : bytes, kAlignment));
    std::memset(memory, 0, bytes);
    return {memory, [](std::byte* owned) { ::operator delete[](owned, kAlignment); }};
  }
  DeviceMemory allocate_staging(std::size_t bytes) override { return allocate(bytes); }

  void copy(Stream, void* to, const void* from, std::size_t bytes) override {
    if (bytes > 0) std::memmove(to, from, bytes);
  }
  void fill_zero(Stream, void* to, std::size_t bytes) override {
    if (bytes > 0) std::memset(to, 0, bytes);
  }

  void add(Stream, float* to, const float* left, const float* right, std::size_t elements,
           SumRounding rounding) override {
    for (std::size_t i = 0; i < elements; ++i) to[i] = stored(left[i] + right[i], rounding);
  }

  void fold(Stream, float* places, const float* leaf, std::size_t elements, const FoldTable& table,
            SumRounding rounding) override {
    const std::int32_t* row = table.rows + static_cast<std::ptrdiff_t>(*table.leaf) * table.width;
    float* const to = places + static_cast<std::size_t>(row[1]) * elements;
    for (std::size_t i = 0; i < elements; ++i) {
      float sum = stored(leaf[i], rounding);
      for (std::int32_t merge = 0; merge < row[0]; ++merge)
        sum = stored(places[static_cast<std::size_t>(row[2 + merge]) * elements + i] + sum, rounding);
      to[i] = sum;
    }
  }

  void pack_bf16(Stream, std::uint16_t* to, const float* from, std::size_t elements) override {
    for (std::size_t i = 0; i < elements; ++i) to[i] = from_float<Bf16>(from[i]).bits;
  }
  void unpack_bf16(Stream, float* to, const std::uint16_t* from, std::size_t elements) override {
    for (std::size_t i = 0; i < elements; ++i) to[i] = to_float(Bf16{from[i]});
  }

  std::unique_ptr<Event> make_event() override { return std::make_unique<HostEvent>(); }
  void record(Stream, Event&) override {}
  void wait(Stream, const Event&) override {}
  bool done(const Event&) override { return true; }
  void synchronize(Stream) override {}

  std::unique_ptr<Replay> capture(const std::function<void()>& enqueue) override {
    return std::make_unique<HostReplay>(enqueue);
  }
  void* native_stream(Stream) override { return nullptr; }
};

}  // namespace

std::unique_ptr<Device> make_host_device() { return std::make_unique<HostDevice>(); }

}  // namespace convoy
