#include "core/graph/initialize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/random/philox.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

using Kind = Initializer::Kind;

// The factor of the standard normal, of the uniform on [-1, 1) or of the sign; the value itself for constants.
double scale_of(const ParameterInfo& info) {
  const double value = info.initializer.value;
  const auto fan_in = static_cast<double>(info.fan_in), fan_out = static_cast<double>(info.fan_out);
  switch (info.initializer.kind) {
    case Kind::constant:
      return value;
    case Kind::gaussian:
      return value;
    case Kind::uniform:
      return value;
    case Kind::he_normal:
      return std::sqrt(2 / fan_in);
    case Kind::fan_in_uniform:
      return value / fan_in;
    case Kind::xavier_uniform:
      return std::sqrt(6 / (fan_in + fan_out));
    case Kind::signs:
      return 1;
    case Kind::xavier_normal:
      return std::sqrt(2 / (fan_in + fan_out));
    case Kind::he_uniform:
      return std::sqrt(6 / fan_in);
    case Kind::he_normal_fan_out:
      return std::sqrt(2 / fan_out);
    case Kind::orthogonal:
      return value;
  }
  throw UsageError("unknown kind of initializer");
}

template <typename Draw>
Tensor filled(const ValueInfo& info, Draw draw) {
  Tensor tensor(info.desc.shape, info.desc.dtype);
  const auto fill = [&](auto values) {
    using T = typename decltype(values)::value_type;
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<T>(draw(i));
  };
  if (info.desc.dtype == DType::f64)
    fill(tensor.values<double>());
  else
    fill(tensor.values<float>());
  return tensor;
}

void check(const ValueInfo& info) {
  const auto complain = [&](std::string_view what) {
    throw UsageError(fmt::format("initial value of '{}' {}: {}", info.name, info.desc.shape.str(), what));
  };
  if (info.role != Role::parameter && info.role != Role::state && info.role != Role::constant)
    complain("only parameters, states and constants have one");
  if (info.desc.dtype != DType::f32 && info.desc.dtype != DType::f64)
    complain(fmt::format("expected float32 or float64, found {}", name_of(info.desc.dtype)));
  const Initializer& initializer = info.parameter.initializer;
  if (!std::isfinite(initializer.value)) complain(fmt::format("its value is {}", initializer.value));
  const Kind kind = initializer.kind;
  const bool xavier = kind == Kind::xavier_uniform || kind == Kind::xavier_normal;
  const bool needs_in = xavier || kind == Kind::he_normal || kind == Kind::he_uniform || kind == Kind::fan_in_uniform;
  if (needs_in && info.parameter.fan_in < 1)
    complain(fmt::format("its kind needs a fan-in of at least 1, found {}", info.parameter.fan_in));
  if ((xavier || kind == Kind::he_normal_fan_out) && info.parameter.fan_out < 1)
    complain(fmt::format("its kind needs a fan-out of at least 1, found {}", info.parameter.fan_out));
}

/// Orthonormal rows, or columns where those are fewer, of a Gaussian matrix [first extent, all others], by Gram-Schmidt done
/// twice (Giraud et al. 2005: twice is enough): the Q of QR with a positive diagonal of R.
Tensor orthogonal(const ValueInfo& info, const RandomKey& key, double gain) {
  const Shape& shape = info.desc.shape;
  const auto rows = static_cast<std::size_t>(shape[0]), columns = static_cast<std::size_t>(shape.elements(1, shape.rank()));
  const std::size_t count = std::min(rows, columns), length = std::max(rows, columns);
  const bool wide = rows <= columns;
  std::vector<double> q(count * length);  // vectors of unit length, one after the other
  for (std::size_t v = 0; v < count; ++v) {
    double* own = q.data() + v * length;
    for (std::size_t i = 0; i < length; ++i) own[i] = key.normal(wide ? v * columns + i : i * columns + v);
    for (std::size_t other = 0; other < 2 * v; ++other) {
      const double* unit = q.data() + other % v * length;
      const double share = std::inner_product(own, own + length, unit, 0.0);
      for (std::size_t i = 0; i < length; ++i) own[i] -= share * unit[i];
    }
    const double norm = std::sqrt(std::inner_product(own, own + length, own, 0.0));
    for (std::size_t i = 0; i < length; ++i) own[i] /= norm;
  }
  return filled(info, [&](std::size_t i) {
    return gain * (wide ? q[i] : q[i % columns * length + i / columns]);
  });
}

}  // namespace

Tensor initial_value(const ValueInfo& info, std::uint64_t seed) {
  check(info);
  const double scale = scale_of(info.parameter);
  const RandomKey key = RandomKey(seed, "init").child(name_key(info.name));
  switch (info.parameter.initializer.kind) {
    case Kind::constant:
      return filled(info, [&](std::size_t) { return scale; });
    case Kind::gaussian:
    case Kind::he_normal:
    case Kind::xavier_normal:
    case Kind::he_normal_fan_out:
      return filled(info, [&](std::size_t i) { return scale * key.normal(i); });
    case Kind::uniform:
    case Kind::fan_in_uniform:
    case Kind::xavier_uniform:
    case Kind::he_uniform:
      return filled(info, [&](std::size_t i) { return scale * (2 * key.uniform_double(i) - 1); });
    case Kind::orthogonal:
      return orthogonal(info, key, scale);
    case Kind::signs:
      return filled(info, [&](std::size_t i) { return key.word(i) >> 31 ? scale : -scale; });
  }
  throw UsageError("unknown kind of initializer");
}

}  // namespace convoy
