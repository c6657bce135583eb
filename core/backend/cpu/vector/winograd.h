#pragma once
// Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2016, "Fast algorithms for convolutional neural
// networks", section 4): a tile of 4x4 outputs takes 36 multiplications per channel pair instead of 144.
//   forward          Y = A^T [(G g G^T) . (B^T d B)] A,   d a 6x6 tile of the input, g a 3x3 filter
//   filter gradient  dg = G^T [sum over tiles of (B^T d B) . (A dY A^T)] G,   its adjoint
// The products for each of the 36 places, summed over channels (or tiles), are matrix products.
// Place 6 j + i holds row i, column j of a transformed tile or filter.
// Arrays: transformed tiles [36][tiles, channels], transformed filters [36][k, n]; every place starts `stride`
// floats after the one before. Channels are multiples of 16, tiles of kWinogradTiles.
#include <cstdint>

namespace convoy::cpu {

inline constexpr std::int64_t kWinogradPlaces = 36;
inline constexpr std::int64_t kWinogradTiles = 16;

struct WinogradKernels {
  /// B^T d B. `offsets` [36]: place of each pixel of the tile, in floats from `image`; negative: outside, zero.
  /// `inside`: none is negative.
  void (*transform_input)(const float* image, const std::int32_t* offsets, bool inside, std::int64_t channels,
                          float* tile, std::int64_t stride);
  /// A dY A^T. `offsets` [16] as above.
  void (*transform_gradient)(const float* image, const std::int32_t* offsets, bool inside,
                             std::int64_t channels, float* tile, std::int64_t stride);
  /// A^T M A (+ bias) (ReLU) into the pixels of `image` that lie at non-negative `offsets` [16].
  void (*transform_output)(const float* tile, std::int64_t stride, std::int64_t channels, const float* bias,
                           bool relu, float* image, const std::int32_t* offsets, bool inside);
  /// G g G^T of filters [o, 9, c] as [36][c, o].
  void (*transform_filters)(const float* filters, std::int64_t o, std::int64_t c, float* transformed);
  /// The same of the filters turned by 180 degrees, as [36][o, c]: what carries dy back to dx.
  void (*transform_turned_filters)(const float* filters, std::int64_t o, std::int64_t c, float* transformed);
  /// G^T S G of the sums over `parts` arrays [36][o, c] into filters [o, 9, c].
  void (*finish_filters)(const float* const* sums, std::int64_t parts, std::int64_t o, std::int64_t c,
                         float* filters);
  /// result [rows, n] = a [rows, k] b [k, n], rows a multiple of kWinogradTiles.
  void (*multiply)(const float* a, const float* b, float* result, std::int64_t rows, std::int64_t k,
                   std::int64_t n);
  /// sums [rows, n] += a^T [rows, k] b [k, n], a [k, rows], rows a multiple of 16; `first`: sums = that.
  void (*accumulate)(const float* a, const float* b, float* sums, std::int64_t rows, std::int64_t k,
                     std::int64_t n, bool first);
};

namespace avx2 {
extern const WinogradKernels winograd_kernels;
}
namespace avx512 {
extern const WinogradKernels winograd_kernels;
}

}  // namespace convoy::cpu
