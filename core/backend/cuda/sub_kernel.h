#pragma once
// Kernels of our own that stand before and after a library's: a cast, a bias, padding.
#include <initializer_list>
#include <memory>

#include "core/backend/cuda/kernels.h"

namespace convoy::cuda {

inline void run_kernel(Kernel& kernel, std::initializer_list<const void*> inputs, std::initializer_list<void*> outputs,
                       void* scratch) {
  std::vector<void*> in;
  for (const void* input : inputs) in.push_back(const_cast<void*>(input));
  kernel.run({.inputs = in, .outputs = {outputs.begin(), outputs.size()}, .scratch = scratch});
}

/// Pieces of a kernel's scratch, laid one after the other at bind time.
class ScratchPlan {
 public:
  /// Where the piece begins.
  std::size_t take(std::size_t bytes) {
    const std::size_t begin = bytes_;
    bytes_ += round_up_256(bytes);
    return begin;
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_ = 0;
};

inline void* piece(void* scratch, std::size_t begin) { return static_cast<std::byte*>(scratch) + begin; }

}  // namespace convoy::cuda
