#include "launch/plan/booking_backend.h"

#include "core/tensor/error.h"

namespace convoy {
namespace {

class BookingDevice final : public Device {
 public:
  std::string name() const override { return "plan"; }
  bool is_host() const override { return true; }
  std::size_t total_memory_bytes() const override { return host_->total_memory_bytes(); }
  /// Of any size: nobody looks into it.
  DeviceMemory allocate(std::size_t) override { return host_->allocate(1); }
  DeviceMemory allocate_staging(std::size_t) override { return host_->allocate(1); }
  void copy(Stream, void*, const void*, std::size_t) override { refuse(); }
  void fill_zero(Stream, void*, std::size_t) override { refuse(); }
  void add(Stream, float*, const float*, const float*, std::size_t, SumRounding) override { refuse(); }
  void fold(Stream, float*, const float*, std::size_t, const FoldTable&, SumRounding) override { refuse(); }
  void pack_bf16(Stream, std::uint16_t*, const float*, std::size_t) override { refuse(); }
  void unpack_bf16(Stream, float*, const std::uint16_t*, std::size_t) override { refuse(); }
  std::unique_ptr<Event> make_event() override { return host_->make_event(); }
  void record(Stream, Event&) override { refuse(); }
  void wait(Stream, const Event&) override { refuse(); }
  bool done(const Event&) override { return true; }
  void synchronize(Stream) override { refuse(); }
  std::unique_ptr<Replay> capture(const std::function<void()>&) override { refuse(); }
  void* native_stream(Stream) override { return nullptr; }

 private:
  [[noreturn]] static void refuse() { throw Error("a plan has no memory to compute in"); }
  std::unique_ptr<Device> host_ = make_host_device();
};

class BookingBackend final : public Backend {
 public:
  std::string_view name() const override { return cpu_->name(); }
  std::unique_ptr<Kernel> try_bind(const OpDesc& op, int threads, std::string* reasons) const override {
    return cpu_->try_bind(op, threads, reasons);
  }
  std::unique_ptr<Kernel> bind_together(std::span<const OpDesc> ops) const override { return cpu_->bind_together(ops); }
  Device& device() const override { return device_; }
  std::vector<std::pair<std::string, std::string>> identity() const override { return cpu_->identity(); }

 private:
  std::unique_ptr<Backend> cpu_ = make_cpu_backend();
  mutable BookingDevice device_;
};

}  // namespace

std::unique_ptr<Backend> make_booking_backend() { return std::make_unique<BookingBackend>(); }

}  // namespace convoy
