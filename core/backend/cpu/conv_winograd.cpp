#include "core/backend/cpu/conv_winograd.h"

#include <algorithm>
#include <type_traits>
#include <vector>

#include "core/backend/cpu/channel_columns.h"
#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernel.h"
#include "core/backend/cpu/vector/winograd.h"

namespace convoy::cpu {
namespace {

const WinogradKernels& kernels() {
  return cpu_isa() == CpuIsa::avx512 ? avx512::winograd_kernels : avx2::winograd_kernels;
}

template <typename T>
constexpr bool kIsNarrow = std::is_same_v<T, Bf16>;

template <typename T>
const WinogradTransforms<T>& transforms() {
  if constexpr (kIsNarrow<T>)
    return kernels().bf16;
  else
    return kernels().f32;
}

/// What a primitive of images and filters of T is called by.
template <typename T>
using Primitive = std::conditional_t<kIsNarrow<T>, NarrowPrimitive, LayerPrimitive>;
template <typename T>
using Result = std::conditional_t<kIsNarrow<T>, void, float>;

std::string name() { return "winograd:" + std::string(name_of(cpu_isa())); }

// Transformed tiles of a block, both operands: what should stay in the second cache.
constexpr std::int64_t kBlockBytes = 512 * 1024;
constexpr std::int64_t kMaxBlockTiles = 64, kMaxWideBlockTiles = 128;
// Groups of tiles whose filter gradients are summed apart: their number, the memory for their sums, and tiles
// enough in each to pay for it.
constexpr std::int64_t kMaxGroups = 4;
constexpr std::int64_t kGroupBytes = 4 * 1024 * 1024;
constexpr std::int64_t kMinGroupTiles = 256;
// Fewer pixels do not pay for transforming the filters.
constexpr std::int64_t kMinPixels = 256;

/// An image cut into tiles of 4x4 outputs. Offsets are in elements from the image's begin, -1 outside.
struct Tiling {
  std::int64_t down, across;
  std::vector<std::int32_t> patches;              // [tile][36]: the 6x6 pixels of the source under each tile
  std::vector<std::int32_t> outputs;              // [tile][16]: the 4x4 pixels of the destination
  std::vector<bool> patch_inside, output_inside;  // [tile]: no pixel is outside

  Tiling(const std::array<std::int64_t, 3>& source, std::int64_t source_channels,
         const std::array<std::int64_t, 3>& destination, std::int64_t destination_channels,
         std::array<std::int64_t, 2> pad_low)
      : down((destination[0] + 3) / 4), across((destination[1] + 3) / 4) {
    for (std::int64_t i = 0; i < down; ++i)
      for (std::int64_t j = 0; j < across; ++j) {
        patch_inside.push_back(
            append(patches, 6, 4 * i - pad_low[0], 4 * j - pad_low[1], source, source_channels));
        output_inside.push_back(append(outputs, 4, 4 * i, 4 * j, destination, destination_channels));
      }
  }
  std::int64_t tiles() const { return down * across; }

 private:
  /// Appends the offsets of a square; true if it lies wholly in the image.
  static bool append(std::vector<std::int32_t>& offsets, std::int64_t size, std::int64_t top, std::int64_t left,
                     const std::array<std::int64_t, 3>& image, std::int64_t channels) {
    bool all_inside = true;
    for (std::int64_t i = top; i < top + size; ++i)
      for (std::int64_t j = left; j < left + size; ++j) {
        const bool inside = i >= 0 && i < image[0] && j >= 0 && j < image[1];
        offsets.push_back(inside ? static_cast<std::int32_t>((i * image[1] + j) * channels) : -1);
        all_inside = all_inside && inside;
      }
    return all_inside;
  }
};

std::int64_t pixels(const std::array<std::int64_t, 3>& image) { return image[0] * image[1]; }

/// Tiles per block, a multiple of kWinogradTiles: what fits the cache, but so many that the filters, read again
/// for every block, are no more traffic than the tiles themselves.
std::int64_t block_tiles(std::int64_t c, std::int64_t o, std::int64_t total) {
  const auto whole = [](std::int64_t tiles) {
    return (tiles + kWinogradTiles - 1) / kWinogradTiles * kWinogradTiles;
  };
  const std::int64_t fit = std::min(whole(kBlockBytes / (kWinogradPlaces * (c + o) * 4)), kMaxBlockTiles);
  const std::int64_t balanced = std::min(whole(c * o / (c + o)), kMaxWideBlockTiles);
  return std::min(std::max(fit, balanced), whole(total));
}

/// Floats from one place to the next; the odd line keeps 36 stores from falling into one set of the cache.
std::int64_t place_stride(std::int64_t tiles, std::int64_t channels) { return tiles * channels + 16; }

std::size_t place_bytes(std::int64_t stride) {
  return round_up_64(static_cast<std::size_t>(kWinogradPlaces * stride) * sizeof(float));
}

float* floats_at(void* scratch, std::size_t bytes) {
  return reinterpret_cast<float*>(static_cast<std::byte*>(scratch) + bytes);
}

/// body(first filter) for all filters, kWinogradFilters at a time.
void for_filters(int threads, std::int64_t o, const std::function<void(std::int64_t)>& body) {
  parallel_for(threads, o / kWinogradFilters, [&](std::int64_t i) { body(i * kWinogradFilters); });
}

/// Forward, and backward data as the forward convolution of dy with turned filters.
template <typename T>
class WinogradImages final : public Primitive<T> {
 public:
  WinogradImages(const ConvSizes& s, bool forward, int threads)
      : forward_(forward),
        o_(s.o),
        c_(s.c),
        from_channels_(forward ? s.c : s.o),
        to_channels_(forward ? s.o : s.c),
        n_(s.n),
        from_(forward ? s.in : s.out),
        to_(forward ? s.out : s.in),
        relu_(s.relu),
        threads_(threads),
        tiling_(from_, from_channels_, to_, to_channels_,
                {forward ? s.pad_low[0] : 2 - s.pad_low[0], forward ? s.pad_low[1] : 2 - s.pad_low[1]}) {
    total_ = n_ * tiling_.tiles();
    block_ = block_tiles(from_channels_, to_channels_, total_);
  }

  std::string implementation() const override { return name(); }
  std::size_t scratch_bytes() const override {
    return filters_bytes() +
           static_cast<std::size_t>(threads_) * (tiles_bytes(from_channels_) + tiles_bytes(to_channels_));
  }

  void run(const T* a, const T* filters, float* bias, Result<T>* result, void* scratch) override {
    auto* transformed = static_cast<float*>(scratch);
    const auto transform = forward_ ? transforms<T>().filters : transforms<T>().turned_filters;
    for_filters(threads_, o_, [&](std::int64_t first) { transform(filters, first, o_, c_, transformed); });
    // Each thread takes a run of blocks, so that it needs buffers of its own only once.
    const std::int64_t blocks = (total_ + block_ - 1) / block_;
    parallel_for(threads_, threads_, [&](std::int64_t t) {
      const std::size_t mine = filters_bytes() + static_cast<std::size_t>(t) *
                                                     (tiles_bytes(from_channels_) + tiles_bytes(to_channels_));
      float* left = floats_at(scratch, mine);
      float* product = floats_at(scratch, mine + tiles_bytes(from_channels_));
      for (std::int64_t b = t * blocks / threads_; b < (t + 1) * blocks / threads_; ++b)
        run_block(b * block_, std::min(block_, total_ - b * block_), a, transformed, bias, static_cast<T*>(result), left,
                  product);
    });
  }

 private:
  bool forward_;
  std::int64_t o_, c_, from_channels_, to_channels_, n_;
  std::array<std::int64_t, 3> from_, to_;
  bool relu_;
  int threads_;
  Tiling tiling_;
  std::int64_t total_ = 0, block_ = 0;

  std::size_t filters_bytes() const { return place_bytes(o_ * c_); }
  std::size_t tiles_bytes(std::int64_t channels) const { return place_bytes(place_stride(block_, channels)); }

  void run_block(std::int64_t first, std::int64_t count, const T* from, const float* filters, const float* bias, T* to,
                 float* left, float* product) const {
    const std::int64_t left_stride = place_stride(block_, from_channels_),
                       product_stride = place_stride(block_, to_channels_);
    for (std::int64_t t = 0; t < count; ++t) {
      const std::int64_t image = (first + t) / tiling_.tiles(), tile = (first + t) % tiling_.tiles();
      transforms<T>().input(from + image * pixels(from_) * from_channels_, tiling_.patches.data() + 36 * tile,
                            tiling_.patch_inside[static_cast<std::size_t>(tile)], from_channels_, left + t * from_channels_,
                            left_stride);
    }
    const std::int64_t rows = (count + kWinogradTiles - 1) / kWinogradTiles * kWinogradTiles;
    for (std::int64_t place = 0; place < kWinogradPlaces; ++place)
      kernels().multiply(left + place * left_stride, filters + place * o_ * c_, product + place * product_stride, rows,
                         from_channels_, to_channels_);
    for (std::int64_t t = 0; t < count; ++t) {
      const std::int64_t image = (first + t) / tiling_.tiles(), tile = (first + t) % tiling_.tiles();
      transforms<T>().output(product + t * to_channels_, product_stride, to_channels_, bias, relu_,
                             to + image * pixels(to_) * to_channels_, tiling_.outputs.data() + 16 * tile,
                             tiling_.output_inside[static_cast<std::size_t>(tile)]);
    }
  }
};

/// Backward filters. The images are cut into a fixed number of groups of tiles, each summed apart, so that the
/// bits do not depend on the number of threads. A single group is shared by all threads: each has some of the places.
template <typename T>
class WinogradFilters final : public Primitive<T> {
 public:
  WinogradFilters(const ConvSizes& s, int threads)
      : s_(s),
        threads_(threads),
        tiling_(s.in, s.c, s.out, s.o, {s.pad_low[0], s.pad_low[1]}),
        bias_columns_(s.n * pixels(s.out) * s.o, s.o) {
    total_ = s.n * tiling_.tiles();
    block_ = block_tiles(s.c, s.o, total_);
    blocks_ = (total_ + block_ - 1) / block_;
    const std::int64_t most = std::min(
        {kMaxGroups, blocks_, total_ / kMinGroupTiles, kGroupBytes / static_cast<std::int64_t>(sums_bytes())});
    groups_ = std::max<std::int64_t>(most, 1);
  }

  std::string implementation() const override { return name(); }
  std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(groups_) * group_bytes() + bias_bytes();
  }

  void run(const T* x, const T* dy, float* dbias, Result<T>* dfilters, void* scratch) override {
    parallel_for(threads_, groups_, [&](std::int64_t g) { run_group(g, x, dy, scratch); });
    const float* sums[kMaxGroups];
    for (std::int64_t g = 0; g < groups_; ++g)
      sums[g] = floats_at(scratch, static_cast<std::size_t>(g) * group_bytes());
    for_filters(threads_, s_.o, [&](std::int64_t first) {
      kernels().finish_filters(sums, groups_, first, s_.o, s_.c, static_cast<float*>(dfilters));
    });
    if (dbias != nullptr)
      sum_bias(dy, dbias, floats_at(scratch, static_cast<std::size_t>(groups_) * group_bytes()));
  }

 private:
  ConvSizes s_;
  int threads_;
  Tiling tiling_;
  Columns bias_columns_;
  std::int64_t total_ = 0, block_ = 0, blocks_ = 0, groups_ = 1;

  std::size_t sums_bytes() const { return place_bytes(s_.o * s_.c); }
  std::size_t tiles_bytes(std::int64_t channels) const { return place_bytes(place_stride(block_, channels)); }
  std::size_t group_bytes() const { return sums_bytes() + tiles_bytes(s_.c) + tiles_bytes(s_.o); }
  std::size_t bias_bytes() const {
    return round_up_64(static_cast<std::size_t>(s_.o) * sizeof(double)) +
           round_up_64(static_cast<std::size_t>(bias_columns_.blocks() * bias_columns_.period) * sizeof(float));
  }

  void run_group(std::int64_t g, const T* x, const T* dy, void* scratch) const {
    const std::size_t mine = static_cast<std::size_t>(g) * group_bytes();
    float* sums = floats_at(scratch, mine);
    float* right = floats_at(scratch, mine + sums_bytes());
    float* left = floats_at(scratch, mine + sums_bytes() + tiles_bytes(s_.c));
    const std::int64_t begin = g * blocks_ / groups_, end = (g + 1) * blocks_ / groups_;
    for (std::int64_t b = begin; b < end; ++b)
      run_block(b * block_, std::min(block_, total_ - b * block_), x, dy, left, right, sums, b == begin);
  }

  void run_block(std::int64_t first, std::int64_t count, const T* x, const T* dy, float* left, float* right, float* sums,
                 bool first_block) const {
    const int team = groups_ == 1 ? threads_ : 1;
    const std::int64_t left_stride = place_stride(block_, s_.o), right_stride = place_stride(block_, s_.c);
    parallel_for(team, count, [&](std::int64_t t) {
      const std::int64_t image = (first + t) / tiling_.tiles(), tile = (first + t) % tiling_.tiles();
      transforms<T>().input(x + image * pixels(s_.in) * s_.c, tiling_.patches.data() + 36 * tile,
                            tiling_.patch_inside[static_cast<std::size_t>(tile)], s_.c, right + t * s_.c, right_stride);
      transforms<T>().gradient(dy + image * pixels(s_.out) * s_.o, tiling_.outputs.data() + 16 * tile,
                               tiling_.output_inside[static_cast<std::size_t>(tile)], s_.o, left + t * s_.o, left_stride);
    });
    parallel_for(team, kWinogradPlaces, [&](std::int64_t place) {
      kernels().accumulate(left + place * left_stride, right + place * right_stride, sums + place * s_.o * s_.c, s_.o, count,
                           s_.c, first_block);
    });
  }

  void sum_bias(const T* dy, float* dbias, float* scratch) const {
    auto* sums = reinterpret_cast<double*>(scratch);
    float* parts = floats_at(scratch, round_up_64(static_cast<std::size_t>(s_.o) * sizeof(double)));
    parallel_for(threads_, bias_columns_.blocks(), [&](std::int64_t b) {
      const T* from = dy + b * bias_columns_.block;
      float* to = parts + b * bias_columns_.period;
      if constexpr (kIsNarrow<T>)
        channel_kernels().sum_bf16(from, to, bias_columns_.length(b), bias_columns_.period);
      else
        channel_kernels().sum(from, to, bias_columns_.length(b), bias_columns_.period);
    });
    bias_columns_.fold(parts, sums);
    std::transform(sums, sums + s_.o, dbias, [](double v) { return static_cast<float>(v); });
  }
};

std::string unsuited(const ConvSizes& s) {
  if (s.axes != 2 || s.groups != 1) return "two axes and one group only";
  for (std::size_t a = 0; a < 2; ++a)
    if (s.kernel[a] != 3 || s.stride[a] != 1 || s.dilation[a] != 1)
      return "3x3 kernels of stride and dilation 1 only";
  if (s.c % 16 != 0 || s.o % 16 != 0) return "channels in multiples of 16 only";
  for (std::size_t a = 0; a < 2; ++a)
    if (s.pad_low[a] > 2 || s.pad_high[a] > 2) return "padding of at most 2 only";
  if (s.n * pixels(s.out) < kMinPixels) return "too few pixels to pay for transforming the filters";
  if (std::max(pixels(s.in) * s.c, pixels(s.out) * s.o) >= std::int64_t{1} << 31)
    return "an image of 2^31 elements";
  return {};
}

template <typename T>
std::unique_ptr<Primitive<T>> make(const ConvSizes& sizes, Direction direction, int threads, std::string* reason) {
  *reason = unsuited(sizes);
  if (!reason->empty()) return nullptr;
  if (direction == Direction::backward_filters) return std::make_unique<WinogradFilters<T>>(sizes, threads);
  return std::make_unique<WinogradImages<T>>(sizes, direction == Direction::forward, threads);
}

}  // namespace

std::unique_ptr<LayerPrimitive> make_conv_winograd(const ConvSizes& sizes, Direction direction, int threads,
                                                   std::string* reason) {
  return make<float>(sizes, direction, threads, reason);
}

std::unique_ptr<NarrowPrimitive> make_conv_winograd_bf16(const ConvSizes& sizes, Direction direction, int threads,
                                                         std::string* reason) {
  return make<Bf16>(sizes, direction, threads, reason);
}

}  // namespace convoy::cpu
