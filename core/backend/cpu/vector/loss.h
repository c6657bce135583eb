#pragma once
// Rows of losses: a row is what belongs to one position (softmax) or one sample (the others).
#include <cstdint>

namespace convoy::cpu {

struct LossKernels {
  /// Softmax of rows of k logits: probabilities (may be null) and the cross-entropy with the label's target, smoothed, per
  /// row.
  void (*softmax)(const float* logits, const std::int32_t* labels, std::int64_t rows, std::int64_t k, float smoothing,
                  float* probabilities, float* losses);
  /// (p - target) factor for one row range.
  void (*softmax_backward)(const float* probabilities, const std::int32_t* labels, std::int64_t rows,
                           std::int64_t k, float smoothing, float factor, float* gradient);
  /// Sums over n elements of one sample.
  double (*squared)(const float* prediction, const float* target, std::int64_t n);
  double (*binary)(const float* logits, const float* target, std::int64_t n, float* probabilities);
  /// (a - b) factor.
  void (*difference)(const float* a, const float* b, std::int64_t n, float factor, float* gradient);
  /// Number of elements that beat element `label`: larger, or equal with a lower index.
  std::int64_t (*rank)(const float* logits, std::int64_t k, std::int64_t label);
};

namespace avx2 {
extern const LossKernels loss_kernels;
}
namespace avx512 {
extern const LossKernels loss_kernels;
}

}  // namespace convoy::cpu
