#pragma once
// One op on its own, on any backend: operands in, results out.
#include <vector>

#include "core/backend/backend.h"
#include "core/tensor/tensor.h"

namespace convoy::test {

/// Infers the outputs, binds and runs. Update ops change the memory of `inputs`.
std::vector<Tensor> run_op(const Backend& backend, OpKind kind, const Attributes& attributes,
                           const std::vector<Tensor>& inputs);
/// The same on the reference backend.
std::vector<Tensor> run_op(OpKind kind, const Attributes& attributes, const std::vector<Tensor>& inputs);

/// A tensor of the given values.
Tensor tensor_of(Shape shape, const std::vector<double>& values);
Tensor integers_of(Shape shape, const std::vector<std::int32_t>& values);
Tensor keys_of(const std::vector<std::pair<std::uint64_t, std::uint64_t>>& keys);
/// f64 values: standard normal, fixed by the seed.
Tensor random_tensor(Shape shape, std::uint64_t seed);
/// f64 values that differ by at least 2 / elements and are at least 0.6 / elements away from 0: no kinks, no
/// ties.
Tensor distinct_tensor(Shape shape, std::uint64_t seed);
/// The values as a vector, for comparisons.
std::vector<double> values_of(const Tensor& tensor);

}  // namespace convoy::test
