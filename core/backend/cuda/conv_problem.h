#pragma once
// A convolution as cuDNN sees it. No header of NVIDIA's: tests read it anywhere.
#include <cstdint>
#include <string>
#include <vector>

#include "core/backend/backend.h"

namespace convoy::cuda {

enum class ConvDirection { forward, backward_data, backward_filters };

/// y = conv(x, filters), or one of its gradients. Images of one axis become 1 x width; padding is zeros (other modes are
/// copied before).
struct ConvProblem {
  ConvDirection direction = ConvDirection::forward;
  int axes = 2;                               // 2 or 3; the arrays hold the last `axes` of {depth, height, width}
  std::int64_t n = 1, c = 1, o = 1, groups = 1;
  PerAxis in{1, 1, 1}, out{1, 1, 1}, kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1};
  PerAxis pad_low{}, pad_high{};
  DType data = DType::f32;                    // of everything: x, y, filters, bias and gradients
  bool bias = false;                          // forward: y = conv + bias, rounded once
  bool tf32 = false;                          // f32 data may be rounded to TF32
};

/// Of a conv, conv_backward_data or conv_backward_filters; pads are the op's whatever its pad mode.
ConvProblem conv_problem_of(const OpDesc& op, bool tf32);

/// Extents in the order n, channels, axes, and strides in elements, as cuDNN wants them; memory is channels-last.
struct Layout {
  std::vector<std::int64_t> dims, strides;
  std::int64_t elements() const;
};
Layout x_layout(const ConvProblem& problem);
Layout filters_layout(const ConvProblem& problem);  // o, c / groups, kernel
Layout y_layout(const ConvProblem& problem);
Layout bias_layout(const ConvProblem& problem);     // 1, o, 1, 1

/// What tells one problem from another, for the plan book: "conv forward float32 x=8,16,28,28 ...".
std::string key_of(const ConvProblem& problem);

/// Channels that tensor cores like an image of few channels to have (16 bytes); c itself where that helps nothing.
std::int64_t padded_channels(const ConvProblem& problem);

}  // namespace convoy::cuda
