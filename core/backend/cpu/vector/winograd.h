#pragma once
// Winograd's minimal filtering F(4x4, 3x3) (Lavin & Gray 2016, "Fast algorithms for convolutional neural
// networks", section 4): a tile of 4x4 outputs takes 36 multiplications per channel pair instead of 144.
//   forward          Y = A^T [(G g G^T) . (B^T d B)] A,   d a 6x6 tile of the input, g a 3x3 filter
//   filter gradient  dg = G^T [sum over tiles of (B^T d B) . (A dY A^T)] G,   its adjoint
// The products for each of the 36 places, summed over channels (or tiles), are matrix products.
// Place 6 j + i holds row i, column j of a transformed tile or filter.
// Arrays: transformed tiles [36][tiles, channels], every place starting `stride` floats after the one before;
// transformed filters [36][k, n] in panels of columns, as only these kernels read them. Channels are multiples
// of 16, tiles of kWinogradTiles.
#include <cstdint>

#include "core/tensor/narrow.h"

namespace convoy::cpu {

inline constexpr std::int64_t kWinogradPlaces = 36;
inline constexpr std::int64_t kWinogradTiles = 16;
inline constexpr std::int64_t kWinogradFilters = 16;

/// What reads or writes images and filters of T, float or Bf16; what is transformed is in floats.
template <typename T>
struct WinogradTransforms {
  /// B^T d B. `offsets` [36]: place of each pixel of the tile, in elements from `image`; negative: outside, zero.
  /// `inside`: none is negative.
  void (*input)(const T* image, const std::int32_t* offsets, bool inside, std::int64_t channels, float* tile,
                std::int64_t stride);
  /// A dY A^T. `offsets` [16] as above.
  void (*gradient)(const T* image, const std::int32_t* offsets, bool inside, std::int64_t channels, float* tile,
                   std::int64_t stride);
  /// A^T M A (+ bias) (ReLU) into the pixels of `image` that lie at non-negative `offsets` [16].
  void (*output)(const float* tile, std::int64_t stride, std::int64_t channels, const float* bias, bool relu, T* image,
                 const std::int32_t* offsets, bool inside);
  /// G g G^T of the kWinogradFilters filters from `first` on of [o, 9, c], into their places of [36][c, o].
  void (*filters)(const T* filters, std::int64_t first, std::int64_t o, std::int64_t c, float* transformed);
  /// The same of the filters turned by 180 degrees, as [36][o, c]: what carries dy back to dx.
  void (*turned_filters)(const T* filters, std::int64_t first, std::int64_t o, std::int64_t c, float* transformed);
};

struct WinogradKernels {
  WinogradTransforms<float> f32;
  WinogradTransforms<Bf16> bf16;
  /// G^T S G of the sums over `parts` arrays [36][o, c] into the kWinogradFilters filters from `first` on of [o, 9, c].
  void (*finish_filters)(const float* const* sums, std::int64_t parts, std::int64_t first, std::int64_t o, std::int64_t c,
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
