#include "core/backend/cpu/reals.h"

#include "core/backend/cpu/isa.h"

namespace convoy::cpu {
namespace {

const NarrowKernels& kernels() {
  return cpu_isa() == CpuIsa::avx512 ? avx512::narrow_kernels : avx2::narrow_kernels;
}

const NarrowKernels::OfType* conversions_of(DType type) {
  if (type == DType::bf16) return &kernels().bf16;
  if (type == DType::f16) return &kernels().f16;
  return nullptr;
}

const std::byte* at(const void* array, std::int64_t element) { return static_cast<const std::byte*>(array) + 2 * element; }
std::byte* at(void* array, std::int64_t element) { return static_cast<std::byte*>(array) + 2 * element; }

template <typename From, typename To>
void cast_all(const void* from, void* to, std::int64_t n) {
  const auto* x = static_cast<const From*>(from);
  auto* y = static_cast<To*>(to);
  for (std::int64_t i = 0; i < n; ++i) y[i] = from_float<To>(to_float(x[i]));
}

template <auto Type>
void widen(const void* from, void* to, std::int64_t n) {
  (kernels().*Type).widen(from, static_cast<float*>(to), n);
}

template <auto Type>
void round_to(const void* from, void* to, std::int64_t n) {
  (kernels().*Type).round(static_cast<const float*>(from), to, n);
}

}  // namespace

Reals::Reals(DType type) : convert_(conversions_of(type)) {}

const float* Reals::read(const void* array, std::int64_t begin, std::int64_t n, float* buffer) const {
  if (!narrow()) return static_cast<const float*>(array) + begin;
  convert_->widen(at(array, begin), buffer, n);
  return buffer;
}

float* Reals::place(void* array, std::int64_t begin, float* buffer) const {
  return narrow() ? buffer : static_cast<float*>(array) + begin;
}

void Reals::put(void* array, std::int64_t begin, std::int64_t n, const float* buffer) const {
  if (narrow()) convert_->round(buffer, at(array, begin), n);
}

Cast cast_between(DType from, DType to) {
  if (from == to) {
    if (to == DType::bf16) return cast_all<Bf16, Bf16>;
    return to == DType::f16 ? cast_all<F16, F16> : cast_all<float, float>;
  }
  if (from == DType::bf16) return to == DType::f16 ? cast_all<Bf16, F16> : widen<&NarrowKernels::bf16>;
  if (from == DType::f16) return to == DType::bf16 ? cast_all<F16, Bf16> : widen<&NarrowKernels::f16>;
  return to == DType::bf16 ? round_to<&NarrowKernels::bf16> : round_to<&NarrowKernels::f16>;
}

}  // namespace convoy::cpu
