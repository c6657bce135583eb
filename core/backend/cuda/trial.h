#pragma once
// Which of several ways to compute is the fastest, measured on the device with made-up operands.
#include <cuda_runtime.h>

#include <functional>
#include <span>

#include "core/tensor/dtype.h"

namespace convoy::cuda {

/// Device memory for a trial, filled with values between -1 and 1 (all different for long, so that sums in another order have
/// other bits).
class TrialMemory {
 public:
  TrialMemory(DType type, std::size_t elements, cudaStream_t stream);
  /// Plain bytes, not filled.
  explicit TrialMemory(std::size_t bytes);
  TrialMemory(const TrialMemory&) = delete;
  TrialMemory& operator=(const TrialMemory&) = delete;
  ~TrialMemory();
  /// Null where the device has no room for it.
  void* get() const { return memory_; }
  std::size_t bytes() const { return bytes_; }

 private:
  void* memory_ = nullptr;
  std::size_t bytes_;
};

/// The fastest of `runs`, each of which enqueues on `stream` and writes `result`; -1 if none works. One that fails
/// (LibraryError), or does not give the same bits twice, is passed over.
int fastest(cudaStream_t stream, std::span<const std::function<void()>> runs, const TrialMemory& result);

}  // namespace convoy::cuda
