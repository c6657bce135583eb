#pragma once
// One device of NVIDIA's through the CUDA runtime.
#include <cuda_runtime.h>

#include <array>
#include <atomic>
#include <memory>

#include "core/backend/device.h"

namespace convoy::cuda {

class CudaDevice final : public Device {
 public:
  /// Throws UsageError where there is no such device, LibraryError where it fails.
  explicit CudaDevice(int ordinal);
  ~CudaDevice() override;
  CudaDevice(const CudaDevice&) = delete;
  CudaDevice& operator=(const CudaDevice&) = delete;

  std::string name() const override { return properties_.name; }
  bool is_host() const override { return false; }
  std::size_t total_memory_bytes() const override { return properties_.totalGlobalMem; }
  std::size_t peak_memory_bytes() const override { return usage_->peak; }
  const cudaDeviceProp& properties() const { return properties_; }
  int ordinal() const { return ordinal_; }
  cudaStream_t stream(Stream on) const { return streams_[static_cast<std::size_t>(on)]; }

  DeviceMemory allocate(std::size_t bytes) override;
  DeviceMemory allocate_staging(std::size_t bytes) override;
  void copy(Stream on, void* to, const void* from, std::size_t bytes) override;
  void fill_zero(Stream on, void* to, std::size_t bytes) override;
  void add(Stream on, float* to, const float* left, const float* right, std::size_t elements,
           SumRounding rounding) override;
  void fold(Stream on, float* places, const float* leaf, std::size_t elements, const FoldTable& table,
            SumRounding rounding) override;
  void pack_bf16(Stream on, std::uint16_t* to, const float* from, std::size_t elements) override;
  void unpack_bf16(Stream on, float* to, const std::uint16_t* from, std::size_t elements) override;
  std::unique_ptr<Event> make_event() override;
  void record(Stream on, Event& event) override;
  void wait(Stream on, const Event& event) override;
  bool done(const Event& event) override;
  void synchronize(Stream on) override;
  std::unique_ptr<Replay> capture(const std::function<void()>& enqueue) override;
  void* native_stream(Stream on) override { return stream(on); }

 private:
  /// The calling thread's calls go to this device: done() may come from a thread that has used none, which would set up
  /// another device for itself.
  void use() const;

  /// Memory may be freed on any thread, and after its device is gone.
  struct Usage {
    std::atomic<std::size_t> bytes = 0, peak = 0;
  };

  void rehearse();

  int ordinal_;
  bool rehearsed_ = false;
  std::shared_ptr<Usage> usage_ = std::make_shared<Usage>();
  cudaDeviceProp properties_{};
  std::array<cudaStream_t, kStreams> streams_{};
};

}  // namespace convoy::cuda
