#include "support/parity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "core/ops/chain.h"
#include "core/ops/update_operands.h"
#include "core/random/philox.h"
#include "core/tensor/narrow.h"

namespace convoy::test {
namespace {

constexpr double kUnit = 0x1p-24;

template <typename T>
Tensor converted(const Tensor& doubles) {
  Tensor result(doubles.shape(), dtype_of<T>());
  std::transform(doubles.values<double>().begin(), doubles.values<double>().end(), result.values<T>().begin(),
                 [](double v) { return from_float<T>(static_cast<float>(v)); });
  return result;
}

/// f64 tensors in the real type `to`, others as they are; a copy in any case.
Tensor to_type(const Tensor& tensor, DType to) {
  if (tensor.dtype() != DType::f64) return tensor.clone();
  if (to == DType::bf16) return converted<Bf16>(tensor);
  if (to == DType::f16) return converted<F16>(tensor);
  return converted<float>(tensor);
}

template <typename T>
std::vector<double> doubles_of(const Tensor& tensor) {
  std::vector<double> values;
  for (const T v : tensor.values<T>()) values.push_back(static_cast<double>(to_float(v)));
  return values;
}

std::vector<double> as_doubles(const Tensor& tensor) {
  if (tensor.dtype() == DType::bf16) return doubles_of<Bf16>(tensor);
  if (tensor.dtype() == DType::f16) return doubles_of<F16>(tensor);
  if (tensor.dtype() == DType::f32) return doubles_of<float>(tensor);
  return {tensor.values<double>().begin(), tensor.values<double>().end()};
}

/// What rounding to a type costs: relative to the number, and at least an absolute `least`.
struct Rounding {
  double unit, least;
};
Rounding rounding_of(DType type) {
  if (type == DType::bf16) return {0x1p-8, 0};
  if (type == DType::f16) return {0x1p-11, 0x1p-25};
  return {0, 0};  // f32: in the bound on sums
}

OpDesc describe(const ParityCase& c, const std::vector<Tensor>& inputs) {
  OpDesc desc{c.kind, c.attributes, {}, {}, {}};
  for (const Tensor& input : inputs) desc.inputs.push_back({input.shape(), input.dtype()});
  desc.outputs = op_def(c.kind).infer(c.attributes, desc.inputs);
  return desc;
}

/// Bytes in the memory of a device, 0xff each: what a kernel must write holds garbage before.
DeviceMemory garbage(Device& device, std::size_t bytes) {
  DeviceMemory memory = device.allocate(bytes);
  const std::vector<std::byte> filling(bytes, std::byte{0xff});
  device.copy(Stream::compute, memory.get(), filling.data(), bytes);
  return memory;
}

DeviceMemory uploaded(Device& device, const Tensor& tensor) {
  DeviceMemory memory = device.allocate(tensor.size_bytes());
  device.copy(Stream::compute, memory.get(), tensor.bytes(), tensor.size_bytes());
  return memory;
}

Tensor downloaded(Device& device, const DeviceMemory& memory, const TensorDesc& desc) {
  Tensor tensor(desc.shape, desc.dtype);
  device.copy(Stream::compute, tensor.bytes(), memory.get(), tensor.size_bytes());
  device.synchronize(Stream::compute);
  return tensor;
}

/// `in_place`: an input, and the output that lies in its memory; none by default.
std::vector<Tensor> run(Device& device, Kernel& kernel, const OpDesc& desc, const ParityCase& c,
                        const std::vector<Tensor>& inputs, std::pair<int, int> in_place = {-1, -1}) {
  std::vector<Tensor> results;
  {
    std::vector<DeviceMemory> inputs_there, outputs_there;
    std::vector<void*> from, to;
    for (const Tensor& input : inputs) inputs_there.push_back(uploaded(device, input));
    for (const TensorDesc& output : desc.outputs)
      outputs_there.push_back(static_cast<int>(outputs_there.size()) == in_place.second
                                  ? inputs_there[static_cast<std::size_t>(in_place.first)]
                                  : garbage(device, Tensor(output.shape, output.dtype).size_bytes()));
    const DeviceMemory scratch = garbage(device, kernel.scratch_bytes());
    for (const DeviceMemory& memory : inputs_there) from.push_back(memory.get());
    for (const DeviceMemory& memory : outputs_there) to.push_back(memory.get());
    kernel.run({from, to, scratch.get()});
    for (std::size_t o = 0; o < desc.outputs.size(); ++o)
      results.push_back(downloaded(device, outputs_there[o], desc.outputs[o]));
    for (const int i : c.changed)
      results.push_back(downloaded(device, inputs_there[static_cast<std::size_t>(i)], desc.inputs[static_cast<std::size_t>(i)]));
  }
  device.synchronize(Stream::compute);  // throws if freeing the memory showed that a kernel wrote beside it
  return results;
}

/// Operands that are data.
bool is_data(const ParityCase& c, std::size_t input) {
  if (const auto* chain = std::get_if<ChainAttributes>(&c.attributes)) return !per_channel_inputs(*chain, c.inputs.size())[input];
  return takes_narrow(c.kind, static_cast<int>(input));
}

/// Operands of the compute type: data, and the copy of the weights that an update writes.
bool is_narrow(const ParityCase& c, std::size_t input) {
  const bool copy = c.kind == OpKind::weight_update &&
                    static_cast<int>(input) == operands_of(std::get<UpdateAttributes>(c.attributes)).copy;
  return is_data(c, input) || copy;
}

std::vector<Tensor> typed_inputs(const ParityCase& c, DType compute) {
  std::vector<Tensor> inputs;
  for (std::size_t i = 0; i < c.inputs.size(); ++i)
    inputs.push_back(always_double(c.kind, c.attributes, static_cast<int>(i)) ? c.inputs[i].clone()
                                        : to_type(c.inputs[i], is_narrow(c, i) ? compute : DType::f32));
  return inputs;
}

bool same_bytes(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Tensor& x, const Tensor& y) {
    return x.size_bytes() == y.size_bytes() && std::memcmp(x.bytes(), y.bytes(), x.size_bytes()) == 0;
  });
}

/// The rounding of a result behind which no other one lies, or of all the steps of a chain together.
Rounding rounding_of(const ParityCase& c, DType result) {
  const auto* chain = std::get_if<ChainAttributes>(&c.attributes);
  if (chain == nullptr) return rounding_of(result);
  Rounding all{0, 0};
  for (const ChainStep& step : chain->steps) {
    const Rounding one = rounding_of(step.type);
    all = {all.unit + 2 * one.unit, all.least + 2 * one.least};
  }
  return all;
}

void expect_close(const Tensor& found, const Tensor& expected, double length, const Rounding& rounding, const std::string& where) {
  const std::vector<double> a = as_doubles(found), b = as_doubles(expected);
  double squared_error = 0, squares = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    squared_error += (a[i] - b[i]) * (a[i] - b[i]);
    squares += b[i] * b[i];
  }
  const double sums = 4 * kUnit * (1 + std::sqrt(length)), bound = sums + rounding.unit;
  EXPECT_LE(squared_error, bound * bound * squares + rounding.least * rounding.least * static_cast<double>(b.size()))
      << where << ": normalised squared error";
  const double mean_square = std::sqrt(squares / static_cast<double>(b.size()));
  std::size_t worst = 0;
  double worst_excess = -1;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const double excess = (std::abs(a[i] - b[i]) - rounding.least) / std::max({std::abs(b[i]), mean_square, 1e-30});
    if (!(excess <= worst_excess)) worst = i, worst_excess = excess;
  }
  EXPECT_LE(worst_excess, 8 * sums + rounding.unit) << where << ": worst element " << worst << ", found " << a[worst]
                                     << ", expected " << b[worst];
}

/// What $CONVOY_PARITY_SEED adds to every seed; 0 where it is not set.
std::uint64_t other_seed() {
  const char* text = std::getenv("CONVOY_PARITY_SEED");
  return text == nullptr ? 0 : std::strtoull(text, nullptr, 10) << 32;
}

}  // namespace

std::vector<Tensor> run_reference(const ParityCase& c) {
  std::vector<Tensor> inputs;
  for (const Tensor& input : c.inputs) inputs.push_back(input.clone());
  ParityCase in_double = c;
  if (auto* prepare = std::get_if<PrepareAttributes>(&in_double.attributes)) prepare->output = DType::f64;
  if (auto* paths = std::get_if<PathsAttributes>(&in_double.attributes)) paths->real = DType::f64;
  if (auto* cast = std::get_if<CastAttributes>(&in_double.attributes)) cast->to = DType::f64;
  if (auto* chain = std::get_if<ChainAttributes>(&in_double.attributes))
    for (ChainStep& step : chain->steps) step.type = DType::f64;
  const OpDesc desc = describe(in_double, inputs);
  const auto reference = make_reference_backend();
  return run(reference->device(), *reference->bind(desc, 1), desc, c, inputs);
}

ParityCase lowered(const ParityCase& c, DType compute) {
  ParityCase low = c;
  if (auto* prepare = std::get_if<PrepareAttributes>(&low.attributes)) prepare->output = compute;
  if (auto* chain = std::get_if<ChainAttributes>(&low.attributes))
    for (ChainStep& step : chain->steps) step.type = step.type == DType::f32 ? compute : step.type;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (!is_data(c, i) || c.inputs[i].dtype() != DType::f64) continue;
    const std::vector<double> values = as_doubles(to_type(c.inputs[i], compute));
    low.inputs[i] = Tensor(c.inputs[i].shape(), DType::f64);
    std::copy(values.begin(), values.end(), low.inputs[i].values<double>().begin());
  }
  return low;
}

std::vector<Tensor> run_single(const Backend& backend, const ParityCase& c, int threads, DType compute) {
  const ParityCase low = lowered(c, compute);
  const std::vector<Tensor> inputs = typed_inputs(low, compute);
  const OpDesc desc = describe(low, inputs);
  return run(backend.device(), *backend.bind(desc, threads), desc, c, inputs);
}

std::string declined(const Backend& backend, const ParityCase& c, DType compute) {
  return backend.declines(describe(lowered(c, compute), typed_inputs(c, compute)));
}

std::string implementation_of(const Backend& backend, const ParityCase& c, DType compute) {
  return backend.bind(describe(lowered(c, compute), typed_inputs(c, compute)), 1)->implementation();
}

void expect_parity(const Backend& backend, const ParityCase& c, DType compute) {
  const std::vector<Tensor> expected = run_reference(lowered(c, compute)),
                            found = run_single(backend, c, 1, compute);
  ASSERT_EQ(found.size(), expected.size()) << c.name;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const std::string where = c.name + ", " + std::string(op_def(c.kind).name) + " in " + std::string(name_of(compute)) +
                              ", result " + std::to_string(i);
    if (expected[i].dtype() == DType::f64)
      expect_close(found[i], expected[i], c.length, rounding_of(lowered(c, compute), found[i].dtype()), where);
    else
      EXPECT_TRUE(same_bytes({found[i]}, {expected[i]})) << where << ": integers differ";
  }
}

void expect_not_a_number(const Backend& backend, const ParityCase& c, DType compute) {
  const std::vector<Tensor> expected = run_reference(lowered(c, compute)), found = run_single(backend, c, 1, compute);
  ASSERT_EQ(found.size(), expected.size()) << c.name;
  std::size_t none = 0, hidden = 0, spread = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (expected[i].dtype() != DType::f64) continue;  // which element of a window
    const std::vector<double> is = as_doubles(found[i]), should_be = as_doubles(expected[i]);
    for (std::size_t at = 0; at < is.size(); ++at) {
      none += std::isnan(should_be[at]);
      hidden += std::isnan(should_be[at]) && !std::isnan(is[at]);
      spread += !std::isnan(should_be[at]) && std::isnan(is[at]);
    }
  }
  const std::string where = c.name + ", " + std::string(op_def(c.kind).name) + " in " + std::string(name_of(compute)) + " by " +
                            implementation_of(backend, c, compute);
  EXPECT_GT(none, 0u) << where << ": the case shows nothing";
  EXPECT_EQ(hidden, 0u) << where << ": of " << none << " elements that are not a number";
  if (c.kind != OpKind::conv) {
    EXPECT_EQ(spread, 0u) << where;
  }
}

void expect_same_bits_anywhere(const Backend& backend, const ParityCase& c, DType compute) {
  const std::vector<Tensor> first = run_single(backend, c, 1, compute);
  std::vector<Tensor> left, right;
  std::thread other([&] { left = run_single(backend, c, 1, compute); });
  right = run_single(backend, c, 1, compute);
  other.join();
  EXPECT_TRUE(same_bytes(left, first)) << c.name << ", " << op_def(c.kind).name << ": on another thread";
  EXPECT_TRUE(same_bytes(right, first)) << c.name << ", " << op_def(c.kind).name << ": beside another thread";
  const std::vector<Tensor> inputs = typed_inputs(c, compute);
  const OpDesc desc = describe(lowered(c, compute), inputs);
  const auto kernel = backend.bind(desc, 1);
  for (int repeat = 0; repeat < 2; ++repeat)
    EXPECT_TRUE(same_bytes(run(backend.device(), *kernel, desc, c, inputs), first))
        << c.name << ", " << op_def(c.kind).name << ": run " << repeat + 2 << " of one kernel";
}

void expect_same_bits_again(const Backend& backend, const ParityCase& c, DType compute, int times) {
  const std::vector<Tensor> first = run_single(backend, c, 1, compute);
  for (int time = 1; time < times; ++time)
    EXPECT_TRUE(same_bytes(run_single(backend, c, 1, compute), first))
        << c.name << ", " << op_def(c.kind).name << ": run " << time + 1;
}

void expect_same_bits_in_place(const Backend& backend, const ParityCase& c, DType compute) {
  const std::vector<Tensor> inputs = typed_inputs(c, compute);
  const OpDesc desc = describe(lowered(c, compute), inputs);
  const auto kernel = backend.bind(desc, 1);
  const std::vector<Tensor> expected = run(backend.device(), *kernel, desc, c, inputs);
  for (int i = 0; i < static_cast<int>(inputs.size()); ++i)
    for (int o = 0; o < static_cast<int>(desc.outputs.size()); ++o) {
      if (!kernel->runs_in_place(i, o)) continue;
      const std::vector<Tensor> found = run(backend.device(), *kernel, desc, c, inputs, {i, o});
      EXPECT_TRUE(std::equal(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(desc.outputs.size()),
                             expected.begin(), [](const Tensor& x, const Tensor& y) { return same_bytes({x}, {y}); }))
          << c.name << ", " << op_def(c.kind).name << ": output " << o << " in the place of input " << i;
    }
}

Tensor rounded(const Tensor& tensor) {
  Tensor result = tensor.clone();
  if (tensor.dtype() == DType::f64)
    for (double& v : result.values<double>()) v = static_cast<double>(static_cast<float>(v));
  return result;
}

Tensor random_single(Shape shape, std::uint64_t seed) {
  Tensor tensor(shape, DType::f64);
  const RandomKey key(seed + other_seed(), "parity values");
  std::uint64_t element = 0;
  for (double& v : tensor.values<double>()) v = key.normal(element++);
  return rounded(tensor);
}

Tensor positive_single(Shape shape, std::uint64_t seed) {
  Tensor tensor = random_single(shape, seed);
  for (double& v : tensor.values<double>()) v = 0.25 + std::abs(v);
  return rounded(tensor);
}

Tensor random_integers(Shape shape, std::int32_t below, std::uint64_t seed) {
  Tensor tensor(shape, DType::i32);
  const RandomKey key(seed + other_seed(), "parity integers");
  std::uint64_t element = 0;
  for (std::int32_t& v : tensor.values<std::int32_t>())
    v = static_cast<std::int32_t>(key.below(element++, static_cast<std::uint64_t>(below)));
  return tensor;
}

}  // namespace convoy::test
