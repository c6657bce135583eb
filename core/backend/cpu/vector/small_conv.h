#pragma once
// Convolutions with few channels, where a vector of channels would be mostly empty: LeNet-5's first layers.
//
// One input channel, at most 16 outputs: a vector holds a run of the output row's floats, (pixel, channel)
// interleaved as they lie in memory; the input is spread over them by a permutation. Which channel a lane
// belongs to repeats after `phases` vectors.
//
// Few input channels, backward data: the gradient of a kernel row's pixels is one run of kernel x channels
// floats.
#include <cstdint>

namespace convoy::cpu {

struct OneChannelGeometry {
  std::int64_t kernel = 5;  // 3 or 5, square
  std::int64_t out_rows = 1, out_width = 1, channels = 1;
  std::int64_t in_step = 1;  // floats from one padded input row to the next
};

struct NarrowGeometry {
  std::int64_t kernel_rows = 1, run = 1;  // run = kernel columns x input channels
  std::int64_t out_rows = 1, out_width = 1, channels = 1;
  std::int64_t row_stride = 1,
               pixel_stride = 1;  // floats in the padded input from one output row, pixel to the next
  std::int64_t in_step = 1;       // floats from one padded input row to the next
};

struct SmallConvKernels {
  std::int64_t lanes;
  /// y [rows, width, channels] of one image. weights [phases][kernel^2][lanes] and bias [phases][lanes] spread
  /// as `spread` does; the padded input must be readable 2 lanes beyond its end.
  void (*forward)(const OneChannelGeometry& g, const float* padded, const float* weights, const float* bias,
                  bool relu, float* y);
  /// sums [phases][kernel^2 + 1][lanes] += the filters' gradient by lanes, and last the bias', of one image.
  void (*backward_filters)(const OneChannelGeometry& g, const float* padded, const float* dy, float* sums);
  /// padded dx += of one image; filters as `pack` lays them out. Rows readable and writable 2 x 16 floats
  /// beyond.
  void (*narrow_backward_data)(const NarrowGeometry& g, const float* dy, const float* packed, float* padded_dx);
  /// Floats of a packed row of filters: `run` rounded up to whole vectors.
  std::int64_t (*packed_run)(std::int64_t run);
};

namespace avx2 {
extern const SmallConvKernels small_conv_kernels;
}
namespace avx512 {
extern const SmallConvKernels small_conv_kernels;
}

}  // namespace convoy::cpu
