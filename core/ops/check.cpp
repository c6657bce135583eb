#include "core/ops/check.h"

namespace convoy::ops {

void require_inputs(std::string_view op, Inputs inputs, std::initializer_list<std::string_view> names) {
  require(inputs.size() == names.size(), op, "takes {} inputs ({}), but {} were given", names.size(),
          fmt::join(names, ", "), inputs.size());
}

DType require_reals(std::string_view op, Inputs inputs, std::initializer_list<int> which) {
  const DType real = inputs[static_cast<std::size_t>(*which.begin())].dtype;
  for (int i : which) {
    const DType found = inputs[static_cast<std::size_t>(i)].dtype;
    require(is_floating(found), op, "input {} must hold real numbers, but its type is {}", i, name_of(found));
    require(found == real, op, "the real inputs must be of one type, but input {} is {} and input {} is {}",
            *which.begin(), name_of(real), i, name_of(found));
  }
  return real;
}

DType require_reals(std::string_view op, Inputs inputs) {
  for (int i = 0; i < static_cast<int>(inputs.size()); ++i) require_reals(op, inputs, {0, i});
  return inputs[0].dtype;
}

DType require_data(std::string_view op, OpKind kind, Inputs inputs) {
  const DType data = require_reals(op, inputs, {0}), wide = wide_beside(data);
  if (wide == data) return require_reals(op, inputs);
  for (int i = 1; i < static_cast<int>(inputs.size()); ++i) {
    const DType found = inputs[static_cast<std::size_t>(i)].dtype, expected = takes_narrow(kind, i) ? data : wide;
    require(found == expected, op, "beside input 0 of {} input {} must be {}, but is {}", name_of(data), i, name_of(expected),
            name_of(found));
  }
  return data;
}

DType require_wide(std::string_view op, Inputs inputs) {
  const DType real = require_reals(op, inputs);
  require_wide(op, "input 0", inputs[0]);
  return real;
}

void require_wide(std::string_view op, std::string_view name, const TensorDesc& found) {
  require(wide_beside(found.dtype) == found.dtype, op, "{} must be {}, but is {}; cast it first", name,
          name_of(wide_beside(found.dtype)), name_of(found.dtype));
}

void require_type(std::string_view op, std::string_view name, const TensorDesc& found, DType expected) {
  require(found.dtype == expected, op, "{} must be {}, but is {}", name, name_of(expected),
          name_of(found.dtype));
}

void require_shape(std::string_view op, std::string_view name, const Shape& found, const Shape& expected) {
  require(found == expected, op, "{} must have the shape {}, but has {}", name, expected.str(), found.str());
}

void require_rank(std::string_view op, std::string_view name, const Shape& found, int least, int most) {
  require(found.rank() >= least && found.rank() <= most, op, "{} must have {} to {} axes, but its shape is {}",
          name, least, most, found.str());
}

}  // namespace convoy::ops
