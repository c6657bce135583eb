// Images as stored -> crop, flip, normalise, round. A thread writes V neighbouring elements of the result (16
// bytes, which may span pixels, rows and images) and finds where each comes from; neighbours read neighbouring
// bytes.
#include <vector>

#include "core/backend/cuda/index.h"
#include "core/backend/cuda/lanes.h"

namespace convoy::cuda {
namespace {

/// Channels of one launch; images of more take several.
constexpr int kChannels = 64;

struct Channels {
  float mean[kChannels], factor[kChannels], outside[kChannels];  // outside: of a normalised pixel of padding
};

struct Crop {
  int axes;
  int stored[3], size[3];        // extents of the stored image and of the crop; missing axes: 1
  Divisor channels, size_by[3];  // channels of the launch; the crop's axes
  std::uint32_t first;           // the launch's first channel
  std::uint32_t all;             // channels of the image
};

/// Where one element of a result comes from.
struct Place {
  std::uint32_t sample, channel;
  int at[3];

  __device__ void next(const Crop& crop) {
    if (++channel < crop.channels.value()) return;
    channel = 0;
    for (int a = 2; a >= 0; --a) {
      if (++at[a] < crop.size[a]) return;
      at[a] = 0;
    }
    ++sample;
  }
};

__device__ inline Place place_of(const Crop& crop, std::uint32_t element) {
  Place place;
  place.channel = crop.channels.take(element);
#pragma unroll
  for (int a = 2; a >= 0; --a) place.at[a] = static_cast<int>(crop.size_by[a].take(element));
  place.sample = element;
  return place;
}

/// The stored pixel of a place of the crop, in pixels from the first image on; -1: outside.
__device__ inline std::int64_t stored_pixel(const Crop& crop, const Place& place,
                                            const std::int32_t* transforms) {
  const int4 row = reinterpret_cast<const int4*>(transforms)[place.sample];
  std::int64_t pixel = place.sample;
#pragma unroll
  for (int a = 0; a < 3; ++a) {
    const int offset = a >= crop.axes ? 0 : a == 0 ? row.x : a == 1 ? row.y : row.z;
    const bool mirrored = a < crop.axes && (row.w >> a & 1) != 0;
    const int i = mirrored ? crop.size[a] - 1 - place.at[a] : place.at[a];
    const std::int64_t p = static_cast<std::int64_t>(offset) + i;
    if (p < 0 || p >= crop.stored[a]) return -1;
    pixel = pixel * crop.stored[a] + p;
  }
  return pixel;
}

/// images [n, stored.., all], transforms [n, 4], y [n, size.., all]. `elements` of the launch's channels in
/// all; an item is V of them. V > 1 only where one launch takes all channels.
template <typename Stored, typename T, int V>
__global__ void prepare(Crop crop, Channels channels, const Stored* images, const std::int32_t* transforms,
                        T* y, std::int64_t elements, std::uint32_t items) {
  const std::uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= items) return;
  const std::int64_t begin = static_cast<std::int64_t>(item) * V;
  Place place = place_of(crop, static_cast<std::uint32_t>(begin));
  std::int64_t pixel = stored_pixel(crop, place, transforms);
  float value[V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
    if (v > 0) {
      if (begin + v >= elements) break;
      place.next(crop);
      if (place.channel == 0) pixel = stored_pixel(crop, place, transforms);
    }
    const std::uint32_t c = place.channel;
    value[v] = pixel < 0 ? channels.outside[c]
                         : math::normalise(static_cast<float>(images[pixel * crop.all + crop.first + c]),
                                           channels.mean[c], channels.factor[c]);
  }
  if constexpr (V == 1) {
    y[static_cast<std::int64_t>(crop.channels.quotient(item)) * crop.all + crop.first + place.channel] =
        from_float<T>(value[0]);
  } else {
    if (begin + V <= elements) return store(y + begin, value);
#pragma unroll
    for (int v = 0; v < V; ++v)
      if (begin + v < elements) y[begin + v] = from_float<T>(value[v]);
  }
}

/// What all launches share.
struct Preparation {
  Crop crop{};
  std::vector<Channels> channels;  // of each launch
  std::int64_t samples = 0, stored_pixels = 1, crop_pixels = 1, all = 1;
};

Preparation preparation_of(const PrepareAttributes& attributes, const Shape& images) {
  Preparation p;
  p.samples = images[0];
  p.all = images[-1];
  p.crop.axes = attributes.axes;
  p.crop.all = static_cast<std::uint32_t>(p.all);
  for (int a = 0; a < 3; ++a) {
    const std::int64_t stored = a < attributes.axes ? images[1 + a] : 1;
    const std::int64_t size = a < attributes.axes ? attributes.size[static_cast<std::size_t>(a)] : 1;
    p.crop.stored[a] = static_cast<int>(stored);
    p.crop.size[a] = static_cast<int>(size);
    p.crop.size_by[a] = Divisor(size);
    p.stored_pixels *= stored;
    p.crop_pixels *= size;
  }
  for (std::int64_t first = 0; first < p.all; first += kChannels) {
    Channels& channels = p.channels.emplace_back();
    for (std::int64_t c = first; c < std::min(first + kChannels, p.all); ++c) {
      const double mean = attributes.mean[static_cast<std::size_t>(c)],
                   deviation = attributes.deviation[static_cast<std::size_t>(c)];
      channels.mean[c - first] = static_cast<float>(mean);
      channels.factor[c - first] = static_cast<float>(1 / deviation);
      channels.outside[c - first] = static_cast<float>((attributes.pad_value - mean) / deviation);
    }
  }
  return p;
}

template <typename Stored, typename T, int V>
Bound bind_prepared(const Context& context, const Preparation& p) {
  const auto run = [p](const KernelArguments& arguments, cudaStream_t stream) {
    Crop crop = p.crop;
    for (std::size_t i = 0; i < p.channels.size(); ++i) {
      const std::int64_t first_channel = static_cast<std::int64_t>(i) * kChannels;
      const std::int64_t count = std::min<std::int64_t>(kChannels, p.all - first_channel),
                         sample = p.crop_pixels * count;
      crop.first = static_cast<std::uint32_t>(first_channel);
      crop.channels = Divisor(count);
      // Packs begin at multiples of 16 bytes: launches begin at samples whose elements are a multiple of V.
      for_samples(
          p.samples, sample,
          [&](std::int64_t first, std::int64_t samples) {
            const std::int64_t elements = samples * sample, items = (elements + V - 1) / V;
            launch(prepare<Stored, T, V>, blocks_for(items), kThreads, stream, crop, p.channels[i],
                   input<Stored>(arguments, 0) + first * p.stored_pixels * p.all,
                   input<std::int32_t>(arguments, 1) + 4 * first,
                   output<T>(arguments, 0) + first * p.crop_pixels * p.all, elements,
                   static_cast<std::uint32_t>(items));
          },
          V);
    }
  };
  return make_kernel(context, {.implementation = V > 1 ? "packs" : "elements", .run = run});
}

template <typename Stored>
Bound bind_stored(const Context& context, const OpDesc& op, const Preparation& p) {
  return with_type(op.outputs[0].dtype, [&]<typename T>(T) {
    return p.all <= kChannels ? bind_prepared<Stored, T, kPack<T>>(context, p)
                              : bind_prepared<Stored, T, 1>(context, p);
  });
}

}  // namespace

Bound bind_prepare(const Context& context, const OpDesc& op, std::string* reason) {
  const auto& attributes = std::get<PrepareAttributes>(op.attributes);
  const Preparation p = preparation_of(attributes, op.inputs[0].shape);
  // Runs are whole multiples of a pack of samples.
  if (too_many(8 * p.crop_pixels * p.all, reason) || too_many(p.stored_pixels, reason)) return nullptr;
  switch (op.inputs[0].dtype) {
    case DType::u8:
      return bind_stored<std::uint8_t>(context, op, p);
    case DType::u16:
      return bind_stored<std::uint16_t>(context, op, p);
    case DType::f32:
      return bind_stored<float>(context, op, p);
    default:
      break;
  }
  *reason = "images are uint8, uint16 or float32";
  return nullptr;
}

}  // namespace convoy::cuda
