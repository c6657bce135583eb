#pragma once
// What infer functions ask of their operands. Private to ops/. Every failure is a UsageError that begins with
// the op's name; the graph puts the layer's name in front.
#include <fmt/format.h>

#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/ops/op.h"
#include "core/tensor/error.h"

namespace convoy::ops {

using Inputs = std::span<const TensorDesc>;
using Outputs = std::vector<TensorDesc>;

/// Throws UsageError("op: text") unless the condition holds.
template <typename... Args>
void require(bool holds, std::string_view op, fmt::format_string<Args...> text, Args&&... args) {
  if (!holds) throw UsageError(fmt::format("{}: {}", op, fmt::format(text, std::forward<Args>(args)...)));
}

/// The op's own attributes.
template <typename A>
const A& as(std::string_view op, const Attributes& attributes) {
  const A* found = std::get_if<A>(&attributes);
  require(found != nullptr, op, "was added with the attributes of another op (alternative {} of Attributes)",
          attributes.index());
  return *found;
}

/// As many inputs as `names` lists, for example "x, filters, bias".
void require_inputs(std::string_view op, Inputs inputs, std::initializer_list<std::string_view> names);
/// The listed inputs are all of one floating-point type, which is returned.
DType require_reals(std::string_view op, Inputs inputs, std::initializer_list<int> which);
/// The same for all inputs.
DType require_reals(std::string_view op, Inputs inputs);
/// Mixed precision (takes_narrow): the operands that are data are of one real type, which is returned, and the others of
/// the type that stays wide beside it. All inputs must be real.
DType require_data(std::string_view op, OpKind kind, Inputs inputs);
/// All inputs are of one real type, f32 or f64: what no program computes in a narrow type. Returns it.
DType require_wide(std::string_view op, Inputs inputs);
void require_wide(std::string_view op, std::string_view name, const TensorDesc& found);
void require_type(std::string_view op, std::string_view name, const TensorDesc& found, DType expected);
void require_shape(std::string_view op, std::string_view name, const Shape& found, const Shape& expected);
void require_rank(std::string_view op, std::string_view name, const Shape& found, int least, int most);

}  // namespace convoy::ops
