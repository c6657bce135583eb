#pragma once
// What all kernels of this backend share: candidates in order of preference, a kernel made of a function,
// threads.
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/backend/backend.h"

namespace convoy::cpu {

/// One way to compute an op. Candidates of a kind stand in one table, best first (cpu_backend.cpp).
struct Candidate {
  std::string_view name;
  /// Null if it declines; *reason then says why. The last candidate of a kind never declines.
  std::unique_ptr<Kernel> (*bind)(const OpDesc& op, int threads, std::string* reason);
};

/// Pairs (input, output) that may share memory.
using InPlace = std::vector<std::pair<int, int>>;

struct KernelSpec {
  std::string implementation = {};
  std::function<void(const KernelArguments&)> run = {};
  std::size_t scratch_bytes = 0;
  InPlace in_place = {};
};
std::unique_ptr<Kernel> make_kernel(KernelSpec spec);
/// The same, named after the instruction set in use.
std::unique_ptr<Kernel> make_vector_kernel(KernelSpec spec);

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

/// Calls body(i) for i in [0, count), on up to `threads` threads. What an i computes must not depend on who
/// runs it.
void parallel_for(int threads, std::int64_t count, const std::function<void(std::int64_t)>& body);

/// The same with the number of the thread, in [0, threads), that runs i: for buffers that belong to one.
void parallel_for_slots(int threads, std::int64_t count, const std::function<void(std::int64_t, int slot)>& body);

/// Cuts [0, n) into fixed blocks of `block` and calls body(begin, length) for each. The blocks do not depend on
/// the number of threads.
void parallel_blocks(int threads, std::int64_t n, std::int64_t block,
                     const std::function<void(std::int64_t, std::int64_t)>& body);

/// Elements per block of element-wise work: small enough to share out, large enough to forget the call.
inline constexpr std::int64_t kElementBlock = 16384;

inline std::size_t round_up_64(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace convoy::cpu
