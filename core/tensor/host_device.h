#pragma once
// Functions that run on the host and on a device, with the same bits.

#if defined(__CUDACC__)
#define CONVOY_HOST_DEVICE __host__ __device__ __forceinline__
#else
// Force-inlined: files compiled for different instruction sets include this, and must not share a copy.
#define CONVOY_HOST_DEVICE static inline __attribute__((always_inline))
#endif
