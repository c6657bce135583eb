// Mixed precision in whole programs on the cpu backend: gradients beside those of f32, copies of weights, the loss scale.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>

#include "core/backend/backend.h"
#include "core/graph/initialize.h"
#include "core/graph/program.h"
#include "core/models/training.h"
#include "core/ops/guard_math.h"
#include "core/random/philox.h"
#include "core/tensor/narrow.h"

namespace convoy::test {
namespace {

constexpr std::int64_t kRows = 16;

/// One micro-batch program with its memory, on random images of four classes (which quarter is bright).
class MicroBatchProgram {
 public:
  MicroBatchProgram(const std::string& model, DType compute)
      : training_(build_training_graph(task_of(model, compute), std::size_t{1} << 30)),
        backend_(make_cpu_backend()),
        program_(training_.graph, *backend_, {.outside = training_.leaves}) {
    for (std::size_t id = 0; id < training_.graph.values().size(); ++id) {
      const ValueInfo& value = training_.graph.values()[id];
      const Value handle{static_cast<int>(id)};
      if (value.role == Role::parameter || value.role == Role::constant) bind(handle, initial_value(value, 1));
      if (value.role == Role::input || value.role == Role::copy) bind(handle, Tensor(value.desc.shape, value.desc.dtype));
    }
    for (Value leaf : training_.leaves) bind(leaf, Tensor(training_.graph.shape(leaf), DType::f32));
    fill_inputs();
    refresh_copies();
  }

  const TrainingGraph& training() const { return training_; }
  std::span<float> floats(Value value) { return memory_.at(value.id).values<float>(); }
  void set_loss_scale(float scale) { floats(training_.inputs.loss_scale)[0] = scale; }
  void set_weights(float weight) {
    for (float& each : floats(training_.inputs.weights)) each = weight;
  }
  void run() { program_.run(); }
  double loss() { return static_cast<double>(floats(training_.loss)[0]); }

  void refresh_copies() {
    const Graph& graph = training_.graph;
    for (Value copy : graph.with_role(Role::copy)) {
      const auto values = floats(graph.find(graph.info(copy).name));
      auto* to = reinterpret_cast<std::uint16_t*>(memory_.at(copy.id).bytes());
      for (std::size_t i = 0; i < values.size(); ++i)
        to[i] = graph.info(copy).desc.dtype == DType::bf16 ? to_bf16(values[i]).bits : to_f16(values[i]).bits;
    }
  }

  /// All gradients of parameters, one after the other.
  std::vector<double> gradients() {
    std::vector<double> all;
    for (const ParameterGradient& each : training_.gradients)
      for (float value : floats(each.gradient)) all.push_back(static_cast<double>(value));
    return all;
  }

  /// w -= rate gradient / divisor.
  void step(double rate, double divisor) {
    for (const ParameterGradient& each : training_.gradients) {
      const auto gradient = floats(each.gradient), weights = floats(each.parameter);
      for (std::size_t i = 0; i < weights.size(); ++i)
        weights[i] -= static_cast<float>(rate * static_cast<double>(gradient[i]) / divisor);
    }
    refresh_copies();
  }

 private:
  TrainingGraph training_;
  std::unique_ptr<Backend> backend_;
  Program program_;
  std::map<int, Tensor> memory_;

  static Task task_of(const std::string& model, DType compute) {
    Task task;
    task.model = model;
    task.classes = 4;
    task.micro_batch = kRows;
    task.image = {16, 16, 1};
    task.prepare.mean = {100};
    task.prepare.deviation = {70};
    task.compute = compute;
    return task;
  }

  void bind(Value value, Tensor tensor) {
    program_.bind_memory(value, tensor.bytes());
    memory_[value.id] = std::move(tensor);
  }

  void fill_inputs() {
    const TaskInputs& inputs = training_.inputs;
    const RandomKey key(3, "mixed training");
    auto pixels = memory_.at(inputs.images.id).values<std::uint8_t>();
    for (std::int64_t i = 0; i < kRows * 256; ++i) {
      const std::int64_t row = i / 256, y = i / 16 % 16, x = i % 16, label = row % 4;
      const bool bright = (y >= 8) == (label >= 2) && (x >= 8) == (label % 2 == 1);
      pixels[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(key.word(static_cast<std::uint64_t>(i)) % 128 +
                                                                      (bright ? 90u : 0u));
    }
    for (std::int64_t row = 0; row < kRows; ++row)
      memory_.at(inputs.labels.id).values<std::int32_t>()[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(row % 4);
    set_weights(1);
    if (inputs.loss_scale.exists()) set_loss_scale(1);
  }
};

/// |a - b| / |b|.
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(difference / size);
}

std::vector<double> scaled(std::vector<double> values, double factor) {
  for (double& value : values) value *= factor;
  return values;
}

TEST(MixedTraining, GivesTheGradientsOfF32UpToTheRoundingOfItsType) {
  // A rounded sum that changes its sign opens or closes a ReLU: such flips are as frequent as the roundoff is large, so that
  // the distance grows with its root, and with the number of layers. A wrong factor or a lost layer would make it near 1.
  struct Expected {
    const char* model;
    double bf16, f16;
  };
  for (const auto& [model, bf16, f16] : {Expected{"mlp", 0.1, 0.03}, Expected{"resnet-20", 0.35, 0.12}}) {
    MicroBatchProgram wide(model, DType::f32), brain(model, DType::bf16), half(model, DType::f16);
    for (auto* each : {&wide, &brain, &half}) each->run();
    half.set_loss_scale(1024);
    half.run();
    EXPECT_LT(distance(brain.gradients(), wide.gradients()), bf16) << model;
    EXPECT_LT(distance(scaled(half.gradients(), 1.0 / 1024), wide.gradients()), f16) << model;
    EXPECT_NEAR(brain.loss(), wide.loss(), 0.02 * wide.loss()) << model;
    EXPECT_NEAR(half.loss(), wide.loss(), 0.003 * wide.loss()) << model;
  }
}

TEST(LossScale, LeavesTheLossAsItIs) {
  MicroBatchProgram half("mlp", DType::f16);
  half.run();
  const double loss = half.loss();
  half.set_loss_scale(4096);
  half.run();
  EXPECT_EQ(half.loss(), loss);
}

/// Between the least and the largest numbers of f16 a power of two is taken off without a trace.
TEST(LossScale, OfAPowerOfTwoIsTakenOffExactly) {
  MicroBatchProgram half("mlp", DType::f16);
  half.set_loss_scale(64);
  half.run();
  const std::vector<double> least = half.gradients();
  half.set_loss_scale(128);
  half.run();
  const std::vector<double> twice = half.gradients();
  std::size_t equal = 0;
  for (std::size_t i = 0; i < least.size(); ++i) equal += twice[i] == 2 * least[i];
  EXPECT_GT(equal, least.size() * 9 / 10);  // the others have a term below f16's normal numbers
  EXPECT_LT(distance(scaled(twice, 0.5), least), 1e-3);
}

TEST(LossScale, OfThePowerOfTwoIsExactInTheLossGradientItself) {
  const auto backend = make_cpu_backend();
  const std::int64_t n = 7, k = 11;
  Tensor p({n, k}, DType::f32), weights({n}, DType::f32), labels({n}, DType::i32), target({n, k}, DType::f32);
  const RandomKey key(5, "loss scale");
  for (std::size_t i = 0; i < static_cast<std::size_t>(n * k); ++i) {
    p.values<float>()[i] = static_cast<float>(key.uniform_double(i));
    target.values<float>()[i] = static_cast<float>(key.child(1).uniform_double(i));
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
    weights.values<float>()[i] = static_cast<float>(0.1 + key.child(2).uniform_double(i));
    labels.values<std::int32_t>()[i] = static_cast<std::int32_t>(i);
  }
  Tensor scale({1}, DType::f32);
  scale.values<float>()[0] = 65536;
  for (const OpKind kind : {OpKind::softmax_cross_entropy_backward, OpKind::mean_squared_backward,
                            OpKind::binary_cross_entropy_backward}) {
    Tensor& second = kind == OpKind::softmax_cross_entropy_backward ? labels : target;
    const auto run = [&](std::vector<Tensor*> operands) {
      OpDesc op{kind, LossAttributes{.scale = 0.3}, {}, {}, {}};
      std::vector<void*> inputs;
      for (Tensor* operand : operands) {
        op.inputs.push_back({operand->shape(), operand->dtype()});
        inputs.push_back(operand->bytes());
      }
      op.outputs = op_def(kind).infer(op.attributes, op.inputs);
      Tensor gradient({n, k}, DType::f32);
      std::vector<void*> outputs{gradient.bytes()};
      backend->bind(op, 1)->run({inputs, outputs, nullptr});
      return gradient;
    };
    const Tensor plain = run({&p, &second, &weights}), large = run({&p, &second, &weights, &scale});
    for (std::size_t i = 0; i < static_cast<std::size_t>(n * k); ++i)
      ASSERT_EQ(large.values<float>()[i] / 65536, plain.values<float>()[i]) << op_def(kind).name << ", element " << i;
  }
}

TEST(LossScale, KeepsGradientsThatF16WouldLose) {
  MicroBatchProgram wide("mlp", DType::f32), half("mlp", DType::f16);
  for (auto* each : {&wide, &half}) {
    each->set_weights(1e-7F);
    each->run();
  }
  const double lost = distance(half.gradients(), wide.gradients());
  half.set_loss_scale(0x1p20F);
  half.run();
  const double kept = distance(scaled(half.gradients(), 0x1p-20), wide.gradients());
  EXPECT_GT(lost, 0.3);
  EXPECT_LT(kept, 0.03);
}

/// From a scale at which everything overflows the guard finds one that works, and training goes as far as in f32.
TEST(LossScale, GuardedTrainingInF16ReachesTheLossOfF32) {
  constexpr double kRate = 0.1;
  MicroBatchProgram wide("mlp", DType::f32), half("mlp", DType::f16);
  double scalars[kStepScalars] = {};
  scalars[kWanted] = 1;
  scalars[kLossScale] = 0x1p24;
  int skipped = 0, applied = 0;
  while (applied < 60) {
    ASSERT_LT(skipped, 30);
    half.set_loss_scale(static_cast<float>(scalars[kLossScale]));
    half.run();
    bool finite = true;
    for (double value : half.gradients()) finite = finite && std::isfinite(value);
    math::guard({.scaling = true, .most = 0x1p24, .growth_every = 25, .halts = false}, kRows, finite, scalars);
    if (scalars[kApply] != 1) {
      ++skipped;
      continue;
    }
    half.step(kRate, scalars[kDivisor]);
    ++applied;
    wide.run();
    wide.step(kRate, kRows);
  }
  EXPECT_GT(skipped, 2);
  half.run();
  wide.run();
  EXPECT_LT(wide.loss() / kRows, 0.1);
  EXPECT_NEAR(half.loss() / kRows, wide.loss() / kRows, 0.02);
}

}  // namespace
}  // namespace convoy::test
