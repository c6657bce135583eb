// Crop, flip, normalise images as stored: row by row of the crop.
#include "core/backend/cpu/vector/prepare.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernels.h"
#include "core/backend/cpu/reals.h"

namespace convoy::cpu {
namespace {

const PrepareKernels& kernels() {
  return cpu_isa() == CpuIsa::avx512 ? avx512::prepare_kernels : avx2::prepare_kernels;
}

void normalise(const std::uint8_t* x, const float* mean, const float* factor, float* y, std::int64_t n) {
  kernels().from_u8(x, mean, factor, y, n);
}
void normalise(const std::uint16_t* x, const float* mean, const float* factor, float* y, std::int64_t n) {
  kernels().from_u16(x, mean, factor, y, n);
}
void normalise(const float* x, const float* mean, const float* factor, float* y, std::int64_t n) {
  kernels().from_f32(x, mean, factor, y, n);
}

/// Missing axes come first, with extent 1, so that the last axis is always the row.
struct Sizes {
  std::array<std::int64_t, 3> stored{1, 1, 1}, crop{1, 1, 1};
  std::int64_t channels = 1, first_axis = 0;
  std::int64_t stored_elements() const { return stored[0] * stored[1] * stored[2] * channels; }
  std::int64_t crop_elements() const { return crop[0] * crop[1] * crop[2] * channels; }
};

struct Tables {
  std::vector<float> mean, factor;  // one row of the crop, [crop[2] c]
  std::vector<float> outside;       // a normalised row of padding
};

/// A crop's place on one axis of the stored image.
struct Place {
  std::int64_t offset = 0;
  bool flip = false;
  std::int64_t stored(std::int64_t i, std::int64_t extent) const {
    return offset + (flip ? extent - 1 - i : i);
  }
};

std::array<Place, 3> places_of(const Sizes& s, const std::int32_t* transform) {
  std::array<Place, 3> places;
  for (std::int64_t a = s.first_axis; a < 3; ++a) {
    const std::int64_t axis = a - s.first_axis;
    places[static_cast<std::size_t>(a)] = {transform[axis], (transform[3] >> axis & 1) != 0};
  }
  return places;
}

/// One row: padding, the part inside the image (through `turned` if mirrored), padding.
template <typename T>
void prepare_row(const Sizes& s, const Tables& tables, Place place, const T* stored_row, float* y, T* turned) {
  const std::int64_t c = s.channels, width = s.crop[2];
  const std::int64_t begin = std::clamp<std::int64_t>(place.offset, 0, s.stored[2]);
  const std::int64_t end = std::clamp<std::int64_t>(place.offset + width, 0, s.stored[2]);
  if (begin >= end) {
    std::copy_n(tables.outside.data(), width * c, y);
    return;
  }
  const std::int64_t first = place.flip ? place.offset + width - end : begin - place.offset;
  const T* from = stored_row + begin * c;
  if (place.flip) {
    for (std::int64_t i = begin; i < end; ++i) std::copy_n(stored_row + i * c, c, turned + (end - 1 - i) * c);
    from = turned;
  }
  const std::int64_t count = (end - begin) * c, before = first * c;
  std::copy_n(tables.outside.data(), before, y);
  normalise(from, tables.mean.data() + before, tables.factor.data() + before, y + before, count);
  std::copy_n(tables.outside.data(), width * c - before - count, y + before + count);
}

template <typename T>
void prepare_sample(const Sizes& s, const Tables& tables, const T* image, const std::int32_t* transform,
                    float* y, T* turned) {
  const auto places = places_of(s, transform);
  const std::int64_t row = s.crop[2] * s.channels;
  for (std::int64_t i = 0; i < s.crop[0]; ++i)
    for (std::int64_t j = 0; j < s.crop[1]; ++j, y += row) {
      const std::int64_t si = places[0].stored(i, s.crop[0]), sj = places[1].stored(j, s.crop[1]);
      if (si < 0 || si >= s.stored[0] || sj < 0 || sj >= s.stored[1])
        std::copy_n(tables.outside.data(), row, y);
      else
        prepare_row(s, tables, places[2], image + (si * s.stored[1] + sj) * s.stored[2] * s.channels, y,
                    turned);
    }
}

Sizes sizes_of(const PrepareAttributes& attributes, const Shape& images) {
  Sizes s;
  s.channels = images[-1];
  s.first_axis = 3 - attributes.axes;
  for (int a = 0; a < attributes.axes; ++a) {
    const auto at = static_cast<std::size_t>(s.first_axis + a);
    s.stored[at] = images[1 + a];
    s.crop[at] = attributes.size[static_cast<std::size_t>(a)];
  }
  return s;
}

Tables tables_of(const PrepareAttributes& attributes, const Sizes& s) {
  Tables tables;
  for (std::int64_t i = 0; i < s.crop[2]; ++i)
    for (std::int64_t c = 0; c < s.channels; ++c) {
      const auto at = static_cast<std::size_t>(c);
      const double mean = at < attributes.mean.size() ? attributes.mean[at] : 0.0;
      const double deviation = at < attributes.deviation.size() ? attributes.deviation[at] : 1.0;
      tables.mean.push_back(static_cast<float>(mean));
      tables.factor.push_back(static_cast<float>(1 / deviation));
      tables.outside.push_back(static_cast<float>((attributes.pad_value - mean) / deviation));
    }
  return tables;
}

template <typename T>
Bound bind_typed(const OpDesc& op, int threads) {
  const auto& attributes = std::get<PrepareAttributes>(op.attributes);
  const std::int64_t n = op.inputs[0].shape[0];
  const Sizes sizes = sizes_of(attributes, op.inputs[0].shape);
  const std::int64_t row =
      (sizes.stored[2] * sizes.channels * static_cast<std::int64_t>(sizeof(T)) + 63) / 64 * 64;
  KernelSpec spec;
  const Reals reals(attributes.output);
  const std::int64_t crop = sizes.crop_elements(), crop_bytes = reals.narrow() ? (crop * 4 + 63) / 64 * 64 : 0;
  spec.scratch_bytes = static_cast<std::size_t>(n * row + threads * crop_bytes);
  spec.run = [=, tables = tables_of(attributes, sizes)](const KernelArguments& arguments) {
    auto* scratch = static_cast<std::byte*>(arguments.scratch);
    parallel_for_slots(threads, n, [&](std::int64_t i, int slot) {
      auto* buffer = reinterpret_cast<float*>(scratch + n * row + slot * crop_bytes);
      prepare_sample(sizes, tables, input<T>(arguments, 0) + i * sizes.stored_elements(),
                     input<std::int32_t>(arguments, 1) + 4 * i,
                     reals.place(output<void>(arguments, 0), i * crop, buffer),
                     reinterpret_cast<T*>(scratch + i * row));
      reals.put(output<void>(arguments, 0), i * crop, crop, buffer);
    });
  };
  return make_vector_kernel(std::move(spec));
}

}  // namespace

Bound bind_prepare(const OpDesc& op, int threads, std::string* reason) {
  switch (op.inputs[0].dtype) {
    case DType::u8:
      return bind_typed<std::uint8_t>(op, threads);
    case DType::u16:
      return bind_typed<std::uint16_t>(op, threads);
    case DType::f32:
      return bind_typed<float>(op, threads);
    default:
      break;
  }
  *reason = "images are uint8, uint16 or float32";
  return nullptr;
}

}  // namespace convoy::cpu
