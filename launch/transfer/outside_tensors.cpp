#include "launch/transfer/outside_tensors.h"

#include <cstring>
#include <set>

#include "core/tensor/error.h"
#include "core/tensor/narrow.h"

namespace convoy {
namespace {

OutsideTensor named(const ValueInfo& value) {
  const std::size_t slash = value.name.rfind('/');
  return {.name = value.name, .role = value.role, .layer = value.name.substr(0, slash),
          .leaf = value.name.substr(slash + 1), .here = value.desc.shape, .there = value.desc.shape};
}

/// [o, k.., c] -> [o, c, k..].
void set_filters(OutsideTensor& tensor) {
  const auto here = tensor.here.extents();
  std::vector<std::int64_t> there{here.front(), here.back()};
  there.insert(there.end(), here.begin() + 1, here.end() - 1);
  tensor.there = Shape(there);
  tensor.channels = here.back();
}

/// The tensor as [rows, positions, channels] here and [rows, channels, positions] there.
struct Blocks {
  std::int64_t rows, positions, channels;
};

Blocks blocks_of(const OutsideTensor& what) {
  const std::int64_t rows = what.here[0];
  return {rows, rows ? what.here.elements() / rows / what.channels : 0, what.channels};
}

template <typename T>
void read_back(const Tensor& tensor, const OutsideTensor& what, std::span<float> into) {
  const auto from = tensor.values<T>();
  const auto value = [&](std::int64_t i) { return static_cast<float>(from[static_cast<std::size_t>(i)]); };
  if (what.channels == 0) {
    for (std::size_t i = 0; i < into.size(); ++i) into[i] = value(static_cast<std::int64_t>(i));
    return;
  }
  const auto [rows, positions, channels] = blocks_of(what);
  std::size_t next = 0;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t p = 0; p < positions; ++p)
      for (std::int64_t c = 0; c < channels; ++c) into[next++] = value((r * channels + c) * positions + p);
}

/// The bf16 or f16 values widened, exactly.
template <typename T>
Tensor widened(const Tensor& tensor) {
  Tensor wide(tensor.shape(), DType::f32);
  const auto from = tensor.values<T>();
  auto to = wide.values<float>();
  for (std::size_t i = 0; i < to.size(); ++i) to[i] = to_float(from[i]);
  return wide;
}

}  // namespace

std::vector<OutsideTensor> outside_tensors(const Graph& graph) {
  std::vector<OutsideTensor> tensors;
  std::set<int> seen;
  for (const Op& op : graph.ops()) {
    for (std::size_t i = 0; i < op.inputs.size(); ++i) {
      const ValueInfo& value = graph.info(op.inputs[i]);
      const bool kept = value.role == Role::parameter || value.role == Role::state || value.role == Role::constant;
      if (!kept || !seen.insert(op.inputs[i].id).second) continue;
      OutsideTensor tensor = named(value);
      if (op.kind == OpKind::conv && i == 1) set_filters(tensor);
      if (op.kind == OpKind::dense && i == 1)
        if (const Shape& sample = graph.dense_inputs.at(op.layer); sample.rank() > 1) tensor.channels = sample[-1];
      tensors.push_back(std::move(tensor));
    }
  }
  return tensors;
}

Tensor to_outside(const Tensor& tensor, const OutsideTensor& what) {
  if (what.channels == 0) return tensor.clone();
  Tensor out(what.there, DType::f32);
  const auto [rows, positions, channels] = blocks_of(what);
  const auto from = tensor.values<float>();
  auto to = out.values<float>();
  std::size_t next = 0;
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t p = 0; p < positions; ++p)
        to[next++] = from[static_cast<std::size_t>((r * positions + p) * channels + c)];
  return out;
}

void from_outside(const Tensor& tensor, const OutsideTensor& what, Tensor& into) {
  switch (tensor.dtype()) {
    case DType::f32: return read_back<float>(tensor, what, into.values<float>());
    case DType::f64: return read_back<double>(tensor, what, into.values<float>());
    case DType::bf16: return read_back<float>(widened<Bf16>(tensor), what, into.values<float>());
    case DType::f16: return read_back<float>(widened<F16>(tensor), what, into.values<float>());
    default: throw Error("a tensor of whole numbers where real ones were expected");
  }
}

}  // namespace convoy
