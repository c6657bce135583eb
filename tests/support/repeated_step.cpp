#include "support/repeated_step.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/random/philox.h"
#include "core/tensor/narrow.h"

namespace convoy::test {
namespace {

std::size_t bytes_of(const TensorDesc& desc) {
  return static_cast<std::size_t>(desc.shape.elements()) * size_of(desc.dtype);
}

template <typename T, typename Make>
void fill(Tensor& tensor, Make make) {
  auto* values = reinterpret_cast<T*>(tensor.bytes());
  for (std::int64_t i = 0; i < tensor.elements(); ++i) values[i] = make(static_cast<std::uint64_t>(i));
}

/// Values as a run has them: labels below the classes, weights and variances 1, parameters near 0.
Tensor made_up(const ValueInfo& info, std::int64_t classes, std::uint64_t seed) {
  Tensor tensor(info.desc.shape, info.desc.dtype);
  const RandomKey key = RandomKey(seed, "repeated step").child(name_key(info.name));
  const bool ones = info.role == Role::state || info.name == "weights" || info.name == "loss_scale";
  const auto real = [&](std::uint64_t i) { return ones ? 1.0f : 0.1f * static_cast<float>(key.normal(i)); };
  switch (info.desc.dtype) {
    case DType::u8: fill<std::uint8_t>(tensor, [&](std::uint64_t i) { return static_cast<std::uint8_t>(key.word(i)); }); break;
    case DType::f32: fill<float>(tensor, real); break;
    case DType::bf16: fill<Bf16>(tensor, [&](std::uint64_t i) { return to_bf16(real(i)); }); break;
    case DType::f16: fill<F16>(tensor, [&](std::uint64_t i) { return to_f16(real(i)); }); break;
    case DType::i32:
      if (info.name == "labels")
        fill<std::int32_t>(tensor, [&](std::uint64_t i) { return static_cast<std::int32_t>(key.below(i, static_cast<std::uint64_t>(classes))); });
      break;
    default: fill<std::uint64_t>(tensor, [&](std::uint64_t i) { return i; }); break;   // keys u64
  }
  return tensor;
}

bool is_operand(Role role) { return role != Role::activation && role != Role::gradient; }

}  // namespace

RepeatedStep::RepeatedStep(const Backend& backend, const Task& task, std::uint64_t seed)
    : backend_(backend), training_(build_training_graph(task, std::size_t{4} << 20)) {
  const Graph& graph = training_.graph;
  for (int id = 0; id < static_cast<int>(graph.values().size()); ++id)
    if (is_operand(graph.info({id}).role)) {
      const Tensor values = made_up(graph.info({id}), task.classes, seed);
      operands_.emplace_back(Value{id}, backend_.device().allocate(values.size_bytes()));
      backend_.device().copy(Stream::compute, operands_.back().second.get(), values.bytes(), values.size_bytes());
      backend_.device().synchronize(Stream::compute);
    }
  for (const Value leaf : training_.leaves)
    leaves_.emplace_back(leaf, backend_.device().allocate(bytes_of(graph.info(leaf).desc)));
  bind();
}

void RepeatedStep::bind() {
  program_ = std::make_unique<Program>(training_.graph, backend_, ProgramOptions{.outside = training_.leaves});
  for (const auto* values : {&operands_, &leaves_})
    for (const auto& [value, memory] : *values) program_->bind_memory(value, memory.get());
}

std::vector<std::byte> RepeatedStep::run() {
  Device& device = backend_.device();
  for (const auto& [value, memory] : leaves_) {
    const std::vector<std::byte> garbage(bytes_of(training_.graph.info(value).desc), std::byte{0xff});
    device.copy(Stream::compute, memory.get(), garbage.data(), garbage.size());
    device.synchronize(Stream::compute);
  }
  program_->run();
  std::vector<std::byte> found;
  for (const auto& [value, memory] : leaves_) {
    std::vector<std::byte> bytes(bytes_of(training_.graph.info(value).desc));
    device.copy(Stream::compute, bytes.data(), memory.get(), bytes.size());
    device.synchronize(Stream::compute);
    found.insert(found.end(), bytes.begin(), bytes.end());
  }
  return found;
}

Task small_task(const std::string& model, DType compute) {
  Task task;
  task.compute = compute;
  task.model = model;
  task.classes = 10;
  task.micro_batch = 24;
  task.image = {28, 28, 1};
  task.prepare.mean = {127.5};
  task.prepare.deviation = {64};
  return task;
}

void expect_same_step(const Backend& backend, const Task& task, int times) {
  RepeatedStep step(backend, task, 1);
  const std::vector<std::byte> first = step.run();
  for (int time = 1; time < times; ++time) {
    if (time == times / 2) step.bind();
    EXPECT_EQ(step.run() == first, true) << task.model << ": run " << time + 1 << " of " << times << " gives other bits";
  }
  // Bits that any operands give would be no proof.
  EXPECT_EQ(RepeatedStep(backend, task, 2).run() == first, false) << task.model << ": the operands make no difference";
}

void expect_same_bits_recomputed(const Backend& backend, Task task) {
  RepeatedStep kept(backend, task, 1);
  const std::vector<std::byte> expected = kept.run();
  for (const Recompute what : {Recompute::cheap, Recompute::blocks}) {
    task.recompute = what;
    RepeatedStep step(backend, task, 1);
    EXPECT_GT(step.graph().ops().size(), kept.graph().ops().size()) << task.model;
    EXPECT_EQ(step.run() == expected, true) << task.model << ", " << name_of(task.compute)
                                            << (what == Recompute::cheap ? ": cheap" : ": blocks");
  }
}

}  // namespace convoy::test
