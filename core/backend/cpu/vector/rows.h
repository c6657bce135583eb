#pragma once
// Kernels that look along the channels of one position: rows of c floats.
#include <cstdint>

namespace convoy::cpu {

struct LocalResponse {
  std::int64_t half;               // neighbours on each side
  float k, alpha, beta;
};

struct RowKernels {
  /// `work`: 3 c + 2 half floats.
  void (*local_response)(const LocalResponse& rule, const float* x, float* y, std::int64_t rows, std::int64_t c, float* work);
  void (*local_response_backward)(const LocalResponse& rule, const float* x, const float* dy, float* dx, std::int64_t rows,
                                  std::int64_t c, float* work);
  /// `inverse` [rows]: one over the deviation; may be null.
  void (*layer_norm)(double epsilon, const float* x, float* y, float* inverse, std::int64_t rows, std::int64_t c);
  void (*layer_norm_backward)(const float* y, const float* inverse, const float* dy, float* dx, std::int64_t rows,
                              std::int64_t c);
  /// y += weight x.
  void (*accumulate)(float weight, const float* x, float* y, std::int64_t n);
};

namespace avx2 {
extern const RowKernels row_kernels;
}
namespace avx512 {
extern const RowKernels row_kernels;
}

}  // namespace convoy::cpu
