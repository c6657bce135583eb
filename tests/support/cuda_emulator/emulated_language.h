#pragma once
// What a kernel's source takes for part of the language.
#include <cmath>
#include <cstring>
#include <type_traits>

#include "emulated_types.h"

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __grid_constant__
/// One block runs at a time, so a block's memory can be static. The tag stands in the mangled name: by it the emulator
/// finds the memory (shared_memory.cpp) and fills it with garbage before each block.
#define __shared__ static __attribute__((abi_tag("cuda_shared")))

/// The running thread's; set whenever another thread goes on.
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

namespace emulator {

/// A place in a kernel, for messages.
struct Place {
  const char* call;
  const char* file;
  int line;
  bool operator==(const Place&) const = default;
};

enum class Exchange { value, ballot, sync };
enum class Barrier { plain, count };

/// Suspends the running thread until all threads of the block are here; the number of those with `predicate`.
int block_barrier(const Place& place, bool predicate);
/// Suspends the running thread until all lanes of the mask are here: the value of lane `source` (value), or the lanes
/// whose value is not 0 (ballot).
std::uint64_t warp_exchange(const Place& place, Exchange kind, std::uint32_t mask, std::uint64_t value, int source);
int lane_of_running_thread();

template <typename T>
T shuffle(const Place& place, std::uint32_t mask, T value, int source) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = warp_exchange(place, Exchange::value, mask, bits, source);
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace emulator

#define CONVOY_EMULATED_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(CONVOY_EMULATED_PLACE) { emulator::block_barrier({"__syncthreads", file, line}, false); }
inline int __syncthreads_count(int p, CONVOY_EMULATED_PLACE) {
  return emulator::block_barrier({"__syncthreads_count", file, line}, p != 0);
}
inline int __syncthreads_or(int p, CONVOY_EMULATED_PLACE) {
  return emulator::block_barrier({"__syncthreads_or", file, line}, p != 0) != 0;
}
inline int __syncthreads_and(int p, CONVOY_EMULATED_PLACE) {
  return emulator::block_barrier({"__syncthreads_and", file, line}, p == 0) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, CONVOY_EMULATED_PLACE) {
  emulator::warp_exchange({"__syncwarp", file, line}, emulator::Exchange::sync, mask, 0, 0);
}
inline unsigned __ballot_sync(unsigned mask, int p, CONVOY_EMULATED_PLACE) {
  return static_cast<unsigned>(
      emulator::warp_exchange({"__ballot_sync", file, line}, emulator::Exchange::ballot, mask, p != 0, 0));
}
inline int __any_sync(unsigned mask, int p, CONVOY_EMULATED_PLACE) {
  return emulator::warp_exchange({"__any_sync", file, line}, emulator::Exchange::ballot, mask, p != 0, 0) != 0;
}
inline int __all_sync(unsigned mask, int p, CONVOY_EMULATED_PLACE) {
  return emulator::warp_exchange({"__all_sync", file, line}, emulator::Exchange::ballot, mask, p == 0, 0) == 0;
}
// Segments of `width` lanes; beyond its segment a lane gets its own value.
template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize, CONVOY_EMULATED_PLACE) {
  const int segment = emulator::lane_of_running_thread() & ~(width - 1);
  return emulator::shuffle({"__shfl_sync", file, line}, mask, value, segment | (source & (width - 1)));
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize, CONVOY_EMULATED_PLACE) {
  const int lane = emulator::lane_of_running_thread(), source = lane + static_cast<int>(delta);
  const bool inside = source < (lane & ~(width - 1)) + width;
  return emulator::shuffle({"__shfl_down_sync", file, line}, mask, value, inside ? source : lane);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize, CONVOY_EMULATED_PLACE) {
  const int lane = emulator::lane_of_running_thread(), source = lane - static_cast<int>(delta);
  return emulator::shuffle({"__shfl_up_sync", file, line}, mask, value, source < (lane & ~(width - 1)) ? lane : source);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int flip, int width = warpSize, CONVOY_EMULATED_PLACE) {
  const int lane = emulator::lane_of_running_thread(), source = lane ^ flip;
  const bool inside = source < (lane & ~(width - 1)) + width;
  return emulator::shuffle({"__shfl_xor_sync", file, line}, mask, value, inside ? source : lane);
}

// Atomics on integers alone: one thread runs at a time, so plain code is atomic. Floats have none, here and in convoy.
#define CONVOY_EMULATED_ATOMIC(name, result)                      \
  template <typename T>                                           \
  T name(T* at, std::type_identity_t<T> value) {                  \
    static_assert(std::is_integral_v<T>, "no float atomics");     \
    const T old = *at;                                            \
    *at = static_cast<T>(result);                                 \
    return old;                                                   \
  }
CONVOY_EMULATED_ATOMIC(atomicAdd, old + value)
CONVOY_EMULATED_ATOMIC(atomicSub, old - value)
CONVOY_EMULATED_ATOMIC(atomicOr, old | value)
CONVOY_EMULATED_ATOMIC(atomicAnd, old & value)
CONVOY_EMULATED_ATOMIC(atomicXor, old ^ value)
CONVOY_EMULATED_ATOMIC(atomicMax, old < value ? value : old)
CONVOY_EMULATED_ATOMIC(atomicMin, value < old ? value : old)
CONVOY_EMULATED_ATOMIC(atomicExch, value)
/// Counts up to `value`, then starts at 0 again.
CONVOY_EMULATED_ATOMIC(atomicInc, old >= value ? 0 : old + 1)
#undef CONVOY_EMULATED_ATOMIC
template <typename T>
T atomicCAS(T* at, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
  const T old = *at;
  if (old == compare) *at = value;
  return old;
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

// Loads and stores with hints.
template <typename T> T __ldg(const T* at) { return *at; }
template <typename T> T __ldcg(const T* at) { return *at; }
template <typename T> T __ldcs(const T* at) { return *at; }
template <typename T> void __stcg(T* at, std::type_identity_t<T> value) { *at = value; }
template <typename T> void __stcs(T* at, std::type_identity_t<T> value) { *at = value; }

// Arithmetic that is rounded once, to nearest.
inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float a) { return __builtin_sqrtf(a); }
inline double __fma_rn(double a, double b, double c) { return __builtin_fma(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double a) { return __builtin_sqrt(a); }

// Bits.
template <typename To, typename From>
To emulated_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
inline unsigned __float_as_uint(float x) { return emulated_bits<unsigned>(x); }
inline int __float_as_int(float x) { return emulated_bits<int>(x); }
inline float __uint_as_float(unsigned x) { return emulated_bits<float>(x); }
inline float __int_as_float(int x) { return emulated_bits<float>(x); }
inline long long __double_as_longlong(double x) { return emulated_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return emulated_bits<double>(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<std::uint64_t>(a) * b >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  __extension__ typedef unsigned __int128 Wide;
  return static_cast<unsigned long long>(static_cast<Wide>(a) * b >> 64);
}

#define CONVOY_EMULATED_EXTREMA(T)                     \
  inline T min(T a, T b) { return b < a ? b : a; }     \
  inline T max(T a, T b) { return a < b ? b : a; }
CONVOY_EMULATED_EXTREMA(int)
CONVOY_EMULATED_EXTREMA(unsigned int)
CONVOY_EMULATED_EXTREMA(long)
CONVOY_EMULATED_EXTREMA(unsigned long)
CONVOY_EMULATED_EXTREMA(long long)
CONVOY_EMULATED_EXTREMA(unsigned long long)
#undef CONVOY_EMULATED_EXTREMA
// The number, where the other is none.
inline float min(float a, float b) { return __builtin_fminf(a, b); }
inline float max(float a, float b) { return __builtin_fmaxf(a, b); }
inline double min(double a, double b) { return __builtin_fmin(a, b); }
inline double max(double a, double b) { return __builtin_fmax(a, b); }
