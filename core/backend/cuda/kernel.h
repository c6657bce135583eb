#pragma once
// What all kernels of this backend share: candidates in order of preference, and a kernel made of a function that
// enqueues on the compute stream.
#include <cuda_runtime.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/backend/backend.h"

namespace convoy::cuda {

/// NVIDIA's libraries with their handles and plans (conv_cudnn.cpp, dense_cublas.cpp alone know them).
class Libraries;

/// What kernels are bound to.
struct Context {
  cudaStream_t stream = nullptr;    // compute
  int device = 0;                   // ordinal
  int multiprocessors = 1;
  int capability = 80;              // 90: sm_90
  bool tf32 = false;                // f32 convolutions and dense layers may round their factors to TF32
  Libraries* libraries = nullptr;   // null under the emulator
};

/// One way to compute an op. Candidates of a kind stand in one table, best first (cuda_backend.cpp).
struct Candidate {
  std::string_view name;
  /// Null if it declines; *reason then says why. The last candidate of a kind never declines.
  std::unique_ptr<Kernel> (*bind)(const Context& context, const OpDesc& op, std::string* reason);
};

/// Pairs (input, output) that may share memory.
using InPlace = std::vector<std::pair<int, int>>;

struct KernelSpec {
  std::string implementation = {};
  std::function<void(const KernelArguments&, cudaStream_t)> run = {};
  std::size_t scratch_bytes = 0;
  InPlace in_place = {};
};
std::unique_ptr<Kernel> make_kernel(const Context& context, KernelSpec spec);

template <typename T>
const T* input(const KernelArguments& arguments, int i) {
  return static_cast<const T*>(arguments.inputs[static_cast<std::size_t>(i)]);
}
template <typename T>
T* changed_input(const KernelArguments& arguments, int i) {
  return static_cast<T*>(arguments.inputs[static_cast<std::size_t>(i)]);
}
template <typename T>
T* output(const KernelArguments& arguments, int i) {
  return static_cast<T*>(arguments.outputs[static_cast<std::size_t>(i)]);
}

/// Scratch is cut into pieces that begin at multiples of 256 bytes.
inline std::size_t round_up_256(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

}  // namespace convoy::cuda
