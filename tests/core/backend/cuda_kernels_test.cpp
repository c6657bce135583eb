// What the cuda backend's own kernels promise beyond parity, on an emulated device: bits, digits, sizes, null outputs.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "core/backend/parity_cases.h"
#include "core/optim/scalars.h"
#include "core/tensor/narrow.h"
#include "support/emulated_cuda.h"

namespace convoy::test {
namespace {

/// Runs a kernel on the backend's device: uploads the inputs, which come back as the kernel leaves them, and returns the
/// outputs. Outputs that are not wanted have no memory.
std::vector<Tensor> run_on_device(const Backend& backend, Kernel& kernel, const std::vector<TensorDesc>& outputs,
                                  const std::vector<bool>& wanted, std::vector<Tensor>& inputs) {
  Device& device = backend.device();
  std::vector<DeviceMemory> kept;
  std::vector<void*> from, to;
  for (const Tensor& input : inputs) {
    kept.push_back(device.allocate(input.size_bytes()));
    from.push_back(kept.back().get());
    device.copy(Stream::compute, from.back(), input.bytes(), input.size_bytes());
  }
  std::vector<Tensor> results;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    results.emplace_back(outputs[i].shape, outputs[i].dtype);
    kept.push_back(device.allocate(results.back().size_bytes()));
    to.push_back(wanted.empty() || wanted[i] ? kept.back().get() : nullptr);
  }
  const DeviceMemory scratch = device.allocate(kernel.scratch_bytes());
  kernel.run({from, to, scratch.get()});
  for (std::size_t i = 0; i < inputs.size(); ++i)
    device.copy(Stream::compute, inputs[i].bytes(), from[i], inputs[i].size_bytes());
  for (std::size_t i = 0; i < outputs.size(); ++i)
    if (to[i] != nullptr) device.copy(Stream::compute, results[i].bytes(), to[i], results[i].size_bytes());
  device.synchronize(Stream::compute);
  return results;
}

OpDesc describe(OpKind kind, const Attributes& attributes, const std::vector<Tensor>& inputs) {
  OpDesc op{kind, attributes, {}, {}, {}};
  for (const Tensor& input : inputs) op.inputs.push_back({input.shape(), input.dtype()});
  op.outputs = op_def(kind).infer(attributes, op.inputs);
  return op;
}

std::vector<Tensor> run_on_device(const Backend& backend, OpKind kind, const Attributes& attributes,
                                  std::vector<Tensor> inputs, const std::vector<bool>& wanted = {}) {
  OpDesc op = describe(kind, attributes, inputs);
  op.wanted = wanted;
  return run_on_device(backend, *backend.bind(op, 1), op.outputs, wanted, inputs);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.size_bytes() == b.size_bytes() && std::memcmp(a.bytes(), b.bytes(), a.size_bytes()) == 0;
}

/// f32, normal values times `scale` plus `offset`.
Tensor random_floats(const Shape& shape, std::uint64_t seed, double scale = 1, double offset = 0) {
  const Tensor drawn = random_single(shape, seed);
  Tensor tensor(shape, DType::f32);
  for (std::size_t i = 0; i < tensor.values<float>().size(); ++i)
    tensor.values<float>()[i] = static_cast<float>(offset + scale * drawn.values<double>()[i]);
  return tensor;
}

template <typename To, typename From>
Tensor converted(const Tensor& x) {
  Tensor tensor(x.shape(), dtype_of<To>());
  for (std::size_t i = 0; i < x.values<From>().size(); ++i)
    tensor.values<To>()[i] = from_float<To>(to_float(x.values<From>()[i]));
  return tensor;
}

template <typename From, typename To>
void expect_cast(const Backend& backend) {
  for (const double scale : {1e-7, 1e-3, 1.0, 7e4}) {  // f16: subnormal numbers to infinities
    const Tensor x = converted<From, float>(random_floats({4099}, 1, scale));
    const Tensor y = run_on_device(backend, OpKind::cast, CastAttributes{dtype_of<To>()}, {x})[0];
    EXPECT_TRUE(same_bits(y, converted<To, From>(x)))
        << name_of(x.dtype()) << " to " << name_of(y.dtype()) << ", values near " << scale;
  }
}

TEST(CudaCast, RoundsAndWidensLikeTheHost) {
  const auto backend = make_emulated_cuda_backend();
  expect_cast<float, Bf16>(*backend);
  expect_cast<float, F16>(*backend);
  expect_cast<float, float>(*backend);
  expect_cast<Bf16, float>(*backend);
  expect_cast<Bf16, F16>(*backend);
  expect_cast<Bf16, Bf16>(*backend);
  expect_cast<F16, float>(*backend);
  expect_cast<F16, Bf16>(*backend);
  expect_cast<F16, F16>(*backend);
}

TEST(CudaElementwise, TakesEveryLengthAroundItsAccessesAndBlocks) {
  const auto backend = make_emulated_cuda_backend();
  for (const std::int64_t n : {1, 3, 4, 5, 7, 8, 9, 2047, 2048, 2049, 4095, 4096, 4097, 8191, 8192, 8193}) {
    const Tensor a = converted<Bf16, float>(random_floats({n}, 1)), b = converted<Bf16, float>(random_floats({n}, 2));
    Tensor product(a.shape(), DType::bf16);
    for (std::size_t i = 0; i < product.values<Bf16>().size(); ++i)
      product.values<Bf16>()[i] = to_bf16(to_float(a.values<Bf16>()[i]) * to_float(b.values<Bf16>()[i]));
    EXPECT_TRUE(same_bits(run_on_device(*backend, OpKind::multiply, {}, {a, b})[0], product)) << n;
  }
}

TEST(CudaAdd, AddsManyTermsFromLeftToRightAndRoundsOnce) {
  const auto backend = make_emulated_cuda_backend();
  for (const int terms : {5, 24, 256}) {
    std::vector<Tensor> inputs;
    for (int i = 0; i < terms; ++i)
      inputs.push_back(converted<Bf16, float>(random_floats({777}, static_cast<std::uint64_t>(i))));
    Tensor sum({777}, DType::bf16);
    for (std::size_t k = 0; k < 777; ++k) {
      float total = to_float(inputs[0].values<Bf16>()[k]);
      for (std::size_t i = 1; i < inputs.size(); ++i) total += to_float(inputs[i].values<Bf16>()[k]);
      sum.values<Bf16>()[k] = to_bf16(total);
    }
    EXPECT_TRUE(same_bits(run_on_device(*backend, OpKind::add, {}, inputs)[0], sum)) << terms;
  }
}

TEST(CudaAdd, DeclinesMoreTermsThanALaunchCanName) {
  const auto backend = make_emulated_cuda_backend();
  const OpDesc op = describe(OpKind::add, {}, std::vector<Tensor>(257, Tensor({3}, DType::f32)));
  EXPECT_NE(backend->declines(op).find("at most 256 terms, but the op has 257"), std::string::npos);
}

TEST(CudaBatchNorm, KeepsItsDigitsOverAMillionElementsFarFromZero) {
  const auto backend = make_emulated_cuda_backend();
  const Tensor x = random_floats({1000, 1000, 1}, 1, 1, 1000);
  double mean = 0, squares = 0;
  for (const float v : x.values<float>()) mean += static_cast<double>(v) / 1e6;
  for (const float v : x.values<float>()) squares += (static_cast<double>(v) - mean) * (static_cast<double>(v) - mean);
  const auto results = run_on_device(*backend, OpKind::batch_norm, BatchNormAttributes{},
                                     {x, random_floats({1}, 2), random_floats({1}, 3)});
  EXPECT_NEAR(results[1].values<float>()[0], mean, 1e-7 * mean);
  EXPECT_NEAR(results[3].values<float>()[0], squares / (1e6 - 1), 1e-6);
}

TEST(CudaBatchNorm, TakesOneRow) {
  const auto backend = make_emulated_cuda_backend();
  const Tensor x = random_floats({1, 5}, 1), beta = random_floats({5}, 3);
  const auto results = run_on_device(*backend, OpKind::batch_norm, BatchNormAttributes{}, {x, random_floats({5}, 2), beta});
  for (std::size_t c = 0; c < 5; ++c) {
    EXPECT_EQ(results[0].values<float>()[c], beta.values<float>()[c]);
    EXPECT_EQ(results[1].values<float>()[c], x.values<float>()[c]);
    EXPECT_EQ(results[3].values<float>()[c], 0);
  }
}

/// Both ways to join ranges of rows: few (8 rows), and more than the last kernel joins by itself.
class CudaBatchNormOutputs : public testing::TestWithParam<std::int64_t> {
 protected:
  void expect_others_unchanged(OpKind kind, const Attributes& attributes, const std::vector<Tensor>& inputs) {
    const auto backend = make_emulated_cuda_backend();
    const auto all = run_on_device(*backend, kind, attributes, inputs);
    for (std::size_t left_out = 0; left_out < all.size(); ++left_out) {
      std::vector<bool> wanted(all.size(), true);
      wanted[left_out] = false;
      const auto some = run_on_device(*backend, kind, attributes, inputs, wanted);
      for (std::size_t i = 0; i < all.size(); ++i) {
        if (i == left_out) continue;
        EXPECT_TRUE(same_bits(some[i], all[i])) << "output " << i << " without output " << left_out;
      }
    }
  }
};

TEST_P(CudaBatchNormOutputs, ForwardMayLackAny) {
  expect_others_unchanged(OpKind::batch_norm, BatchNormAttributes{.activation = ActivationKind::relu},
                          {random_floats({GetParam(), 33}, 1), random_floats({33}, 2), random_floats({33}, 3)});
}

TEST_P(CudaBatchNormOutputs, BackwardMayLackAny) {
  const Shape shape{GetParam(), 33};
  expect_others_unchanged(OpKind::batch_norm_backward, BatchNormAttributes{.activation = ActivationKind::relu},
                          {random_floats(shape, 1), random_floats({33}, 2), random_floats({33}, 3), random_floats({33}, 4),
                           random_floats(shape, 5), random_floats(shape, 6)});
}

INSTANTIATE_TEST_SUITE_P(Rows, CudaBatchNormOutputs, testing::Values(8, 1100));

Tensor step_scalars(double apply) {
  Tensor scalars({kStepScalars}, DType::f64);
  scalars.values<double>()[kLearningRate] = 0.1;
  scalars.values<double>()[kWanted] = 1;
  scalars.values<double>()[kDivisor] = 96.5;
  scalars.values<double>()[kApply] = apply;
  scalars.values<double>()[kLossScale] = 1;
  return scalars;
}

struct Update {
  Attributes attributes;
  std::vector<Tensor> inputs;
};

/// Binds the ops together and each by itself on the device, and each on the cpu where it needs no copy: the same bits.
void expect_same_together(OpKind kind, const std::vector<Update>& updates) {
  const auto backend = make_emulated_cuda_backend();
  const auto cpu = make_cpu_backend();
  std::vector<OpDesc> ops;
  std::vector<Tensor> together;
  for (const Update& update : updates) {
    ops.push_back(describe(kind, update.attributes, update.inputs));
    for (const Tensor& input : update.inputs) together.push_back(input.clone());
  }
  const auto kernel = backend->bind_together(ops);
  ASSERT_NE(kernel, nullptr);
  run_on_device(*backend, *kernel, {}, {}, together);
  std::size_t at = 0;
  for (std::size_t op = 0; op < ops.size(); ++op) {
    std::vector<Tensor> alone, on_cpu;
    for (const Tensor& input : updates[op].inputs) alone.push_back(input.clone()), on_cpu.push_back(input.clone());
    run_on_device(*backend, *backend->bind(ops[op], 1), {}, {}, alone);
    run_on_device(*cpu, *cpu->bind(ops[op], 1), {}, {}, on_cpu);
    for (std::size_t i = 0; i < alone.size(); ++i, ++at) {
      EXPECT_TRUE(same_bits(together[at], alone[i])) << "op " << op << ", operand " << i;
      EXPECT_TRUE(same_bits(together[at], on_cpu[i])) << "op " << op << ", operand " << i << ": cpu";
    }
  }
}

/// More tensors than one launch names, of many sizes, each with rules of its own.
std::vector<Update> sgd_updates() {
  std::vector<Update> updates;
  for (int i = 0; i < 130; ++i) {
    const std::int64_t n = i % 13 == 0 ? 9000 + i : 1 + 7 * i;
    Update update{UpdateAttributes{.momentum = i % 3 == 0 ? 0.5 : 0.9, .nesterov = i % 2 == 0, .decay = 1e-2 * (i % 4),
                                .rate_factor = 1.0 + i % 5},
                  {random_floats({n}, 1), random_floats({n}, 2), random_floats({n}, 3), step_scalars(i % 11 != 0)}};
    if (i % 3 == 1) update.inputs.emplace_back(Shape{n}, DType::bf16);
    if (i % 3 == 2) update.inputs.emplace_back(Shape{n}, DType::f16);
    updates.push_back(std::move(update));
  }
  return updates;
}

TEST(CudaUpdates, OfAllWeightsTogetherGiveTheBitsOfEachAndOfTheCpu) {
  expect_same_together(OpKind::weight_update, sgd_updates());
}

TEST(CudaUpdates, OfEveryRuleGiveTheBitsOfTheCpu) {
  Tensor norms({2}, DType::f64);
  norms.values<double>()[0] = 400;
  norms.values<double>()[1] = 3;
  for (const Optimizer rule : {Optimizer::rmsprop, Optimizer::adam, Optimizer::adagrad, Optimizer::lars}) {
    std::vector<Update> updates;
    for (int i = 0; i < 70; ++i) {
      const std::int64_t n = i % 13 == 0 ? 9000 + i : 1 + 7 * i;
      UpdateAttributes a{.rule = rule, .decay = 1e-2 * (i % 4), .decoupled = i % 2 == 0, .rate_factor = 1.0 + i % 5,
                         .clip_value = i % 5 == 1 ? 0.01 : 0.0};
      Tensor scalars = step_scalars(i % 11 != 0), squares = random_floats({n}, 3);
      scalars.values<double>()[kUpdates] = 1 + 3 * i;
      for (float& square : squares.values<float>()) square *= square;
      std::vector<Tensor> inputs{random_floats({n}, 1), random_floats({n}, 2), random_floats({n}, 4), scalars};
      if (rule == Optimizer::rmsprop) inputs.insert(inputs.begin() + 1, squares);
      if (rule == Optimizer::adam) inputs.insert(inputs.begin() + 2, squares);
      if (rule == Optimizer::adagrad) inputs[1] = squares;
      if (rule == Optimizer::lars && i % 3 > 0) {
        a.gradient_norm = 0;
        a.weight_norm = 1;
        inputs.push_back(norms);
      }
      if (i % 3 == 1) inputs.emplace_back(Shape{n}, DType::bf16);
      updates.push_back({a, inputs});
    }
    expect_same_together(OpKind::weight_update, updates);
  }
}

TEST(CudaUpdates, OfAllAveragesTogetherGiveTheBitsOfEachAndOfTheCpu) {
  std::vector<Update> updates;
  for (int i = 0; i < 90; ++i) {
    Tensor scalars = step_scalars(i % 11 != 0);
    scalars.values<double>()[kUpdates] = 1 + i;
    updates.push_back({AverageAttributes{.decay = i % 2 == 0 ? 0.0 : 0.99, .from = i % 7},
                       {random_floats({1 + 31 * i}, 1), random_floats({1 + 31 * i}, 2), scalars}});
  }
  expect_same_together(OpKind::average_update, updates);
}

TEST(CudaNorms, AreThoseOfTheCpuToTheBit) {
  const auto backend = make_emulated_cuda_backend();
  const auto cpu = make_cpu_backend();
  std::vector<Tensor> inputs;
  for (int i = 0; i < 130; ++i) inputs.push_back(random_floats({i % 40 == 0 ? 40000 + i : 1 + 113 * i}, static_cast<std::uint64_t>(i)));
  const std::vector<Tensor> there = run_on_device(*backend, OpKind::squared_norms, {}, inputs),
                            here = run_on_device(*cpu, OpKind::squared_norms, {}, inputs);
  EXPECT_TRUE(same_bits(there.front(), here.front()));
}

TEST(CudaUpdates, OfAllStatisticsTogetherGiveTheBitsOfEachAndOfTheCpu) {
  std::vector<Update> updates;
  for (int i = 0; i < 200; ++i) {
    const std::int64_t n = i % 50 == 0 ? 3000 : 1 + i;
    updates.push_back({RunningAttributes{.factor = 0.1 + 0.004 * i, .micro_batches = 1 + i % 8},
                       {random_floats({n}, 1), random_floats({n}, 2), step_scalars(i % 11 != 0)}});
  }
  expect_same_together(OpKind::running_update, updates);
}

TEST(CudaUpdates, ReadTheMemoryThatEachRunNames) {
  const auto backend = make_emulated_cuda_backend();
  std::vector<Update> updates = sgd_updates();
  updates.resize(3);
  std::vector<OpDesc> ops;
  std::vector<Tensor> first, second;
  for (const Update& update : updates) {
    ops.push_back(describe(OpKind::weight_update, update.attributes, update.inputs));
    for (const Tensor& input : update.inputs) first.push_back(input.clone()), second.push_back(input.clone());
  }
  const auto kernel = backend->bind_together(ops);
  run_on_device(*backend, *kernel, {}, {}, first);
  run_on_device(*backend, *kernel, {}, {}, second);
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(same_bits(first[i], second[i])) << i;
  EXPECT_FALSE(same_bits(first[4], updates[1].inputs[0]));
}

TEST(CudaGuard, FindsTheOneBrokenNumberOfManyBuckets) {
  const auto backend = make_emulated_cuda_backend();
  Tensor weight({1}, DType::f32);
  weight.values<float>()[0] = 96;
  std::vector<Tensor> inputs{weight, step_scalars(0)};
  for (int i = 0; i < 300; ++i) inputs.push_back(random_floats({i % 100 == 0 ? 20000 : 1 + i}, static_cast<std::uint64_t>(i)));
  for (const std::size_t bucket : {std::size_t{2}, std::size_t{181}, inputs.size() - 1, std::size_t{0}}) {
    std::vector<Tensor> changed;
    for (const Tensor& input : inputs) changed.push_back(input.clone());
    if (bucket != 0) changed[bucket].values<float>().back() = -INFINITY;
    const OpDesc op = describe(OpKind::step_guard, GuardAttributes{}, changed);
    run_on_device(*backend, *backend->bind(op, 1), {}, {}, changed);
    EXPECT_EQ(changed[1].values<double>()[kFinite], bucket == 0 ? 1 : 0) << bucket;
    EXPECT_EQ(changed[1].values<double>()[kApply], bucket == 0 ? 1 : 0) << bucket;
    EXPECT_EQ(changed[1].values<double>()[kDivisor], 96) << bucket;
  }
}

}  // namespace
}  // namespace convoy::test
