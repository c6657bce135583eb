#include "support/run_op.h"

#include <algorithm>

#include "core/random/permutation.h"
#include "core/random/philox.h"

namespace convoy::test {

std::vector<Tensor> run_op(const Backend& backend, OpKind kind, const Attributes& attributes,
                           const std::vector<Tensor>& inputs) {
  OpDesc desc{kind, attributes, {}, {}, {}};
  for (const Tensor& input : inputs) desc.inputs.push_back({input.shape(), input.dtype()});
  desc.outputs = op_def(kind).infer(attributes, desc.inputs);
  const std::unique_ptr<Kernel> kernel = backend.bind(desc, 1);
  std::vector<Tensor> outputs;
  std::vector<void*> from, to;
  for (Tensor input : inputs) from.push_back(input.bytes());
  for (const TensorDesc& output : desc.outputs) {
    outputs.emplace_back(output.shape, output.dtype);
    std::fill_n(outputs.back().bytes(), outputs.back().size_bytes(),
                std::byte{0xff});  // kernels must write it all
    to.push_back(outputs.back().bytes());
  }
  Tensor scratch({static_cast<std::int64_t>(kernel->scratch_bytes())}, DType::u8);
  kernel->run({from, to, scratch.bytes()});
  return outputs;
}

std::vector<Tensor> run_op(OpKind kind, const Attributes& attributes, const std::vector<Tensor>& inputs) {
  return run_op(*make_reference_backend(), kind, attributes, inputs);
}

Tensor tensor_of(Shape shape, const std::vector<double>& values) {
  Tensor tensor(shape, DType::f64);
  std::copy(values.begin(), values.end(), tensor.values<double>().begin());
  return tensor;
}

Tensor integers_of(Shape shape, const std::vector<std::int32_t>& values) {
  Tensor tensor(shape, DType::i32);
  std::copy(values.begin(), values.end(), tensor.values<std::int32_t>().begin());
  return tensor;
}

Tensor keys_of(const std::vector<std::pair<std::uint64_t, std::uint64_t>>& keys) {
  Tensor tensor({static_cast<std::int64_t>(keys.size()), 2}, DType::u64);
  for (std::size_t n = 0; n < keys.size(); ++n) {
    tensor.values<std::uint64_t>()[2 * n] = keys[n].first;
    tensor.values<std::uint64_t>()[2 * n + 1] = keys[n].second;
  }
  return tensor;
}

Tensor random_tensor(Shape shape, std::uint64_t seed) {
  Tensor tensor(shape, DType::f64);
  const RandomKey key(seed, "test values");
  std::uint64_t element = 0;
  for (double& value : tensor.values<double>()) value = key.normal(element++);
  return tensor;
}

Tensor distinct_tensor(Shape shape, std::uint64_t seed) {
  Tensor tensor(shape, DType::f64);
  const auto count = static_cast<std::uint64_t>(shape.elements());
  const Permutation order(RandomKey(seed, "distinct test values"), count);
  std::uint64_t element = 0;
  // The grid of step 2 / count is laid so that 0 falls 0.3 steps beside a point whether count is odd or even.
  for (double& value : tensor.values<double>())
    value = 2 * (static_cast<double>(order(element++)) - static_cast<double>(count / 2) + 0.3) /
            static_cast<double>(count);
  return tensor;
}

std::vector<double> values_of(const Tensor& tensor) {
  return {tensor.values<double>().begin(), tensor.values<double>().end()};
}

}  // namespace convoy::test
