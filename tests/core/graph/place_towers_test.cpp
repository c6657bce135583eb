// Two towers in two programs beside one program: the same bits, forward and backward.
#include "core/graph/place_towers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

#include "core/backend/backend.h"
#include "core/graph/initialize.h"
#include "core/graph/layers.h"
#include "core/graph/passes.h"
#include "core/graph/program.h"
#include "core/models/training.h"
#include "core/tensor/narrow.h"
#include "launch/expect_message.h"

namespace convoy {
namespace {

constexpr std::size_t kBucketBytes = std::size_t{1} << 20;

Task small_alexnet() {
  Task task;
  task.model = "alexnet";
  task.classes = 7;
  task.micro_batch = 2;
  task.image = {63, 63, 3};
  task.prepare.mean = {120, 110, 100};
  task.prepare.deviation = {60, 60, 60};
  task.dropout_seed = 5;
  return task;
}

/// What programs of one network share, and inputs of a micro-batch.
class Memory {
 public:
  explicit Memory(const TrainingGraph& training) {
    for (const ValueInfo& value : training.graph.values()) {
      if (value.role == Role::parameter || value.role == Role::state || value.role == Role::constant)
        tensors_.emplace(value.name, initial_value(value, 3));
      if (value.role == Role::input) tensors_.emplace(value.name, Tensor(value.desc.shape, value.desc.dtype));
    }
    for (Value copy : training.graph.with_role(Role::copy)) {
      const std::string& name = training.graph.info(copy).name;
      copies_.emplace(name, narrowed(tensors_.at(name)));
    }
    std::uint32_t noise = 7;
    for (std::byte& byte : std::span(tensors_.at("images").bytes(), tensors_.at("images").size_bytes()))
      byte = static_cast<std::byte>((noise = noise * 1664525 + 1013904223) >> 24);
    for (float& weight : tensors_.at("weights").values<float>()) weight = 1;
    for (std::uint64_t& key : tensors_.at("keys").values<std::uint64_t>()) key = noise++;
    tensors_.at("labels").values<std::int32_t>()[1] = 4;
  }
  void bind(Program& program) {
    for (std::size_t id = 0; id < program.graph().values().size(); ++id) {
      const ValueInfo& value = program.graph().values()[id];
      if (const auto found = tensors_.find(value.name); found != tensors_.end() && value.role != Role::copy)
        program.bind_memory({static_cast<int>(id)}, found->second.bytes());
      if (value.role == Role::copy) program.bind_memory({static_cast<int>(id)}, copies_.at(value.name).bytes());
    }
  }

 private:
  static Tensor narrowed(const Tensor& wide) {
    Tensor narrow(wide.shape(), DType::bf16);
    const auto values = wide.values<float>();
    std::transform(values.begin(), values.end(), narrow.values<Bf16>().begin(), [](float value) { return from_float<Bf16>(value); });
    return narrow;
  }
  std::map<std::string, Tensor> tensors_, copies_;
};

/// The leaves after a run.
using Leaves = std::map<int, Tensor>;

Leaves bind_leaves(Program& program, const TrainingGraph& training) {
  Leaves leaves;
  for (Value leaf : training.leaves) {
    const TensorDesc& desc = training.graph.info(leaf).desc;
    program.bind_memory(leaf, leaves.emplace(leaf.id, Tensor(desc.shape, desc.dtype)).first->second.bytes());
  }
  return leaves;
}

/// Where two programs on two threads meet: a value travels from one to the other.
class Wire {
 public:
  void send(int value, const void* data, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto* begin = static_cast<const std::byte*>(data);
    EXPECT_TRUE(under_way_.emplace(value, std::vector<std::byte>(begin, begin + bytes)).second) << "value " << value << " crosses twice";
    bytes_ += bytes;
    arrived_.notify_all();
  }
  void receive(int value, void* data, std::size_t bytes) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(arrived_.wait_for(lock, std::chrono::seconds(60), [&] { return under_way_.contains(value); })) << "value " << value;
    ASSERT_EQ(under_way_.at(value).size(), bytes);
    std::memcpy(data, under_way_.at(value).data(), bytes);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<int, std::vector<std::byte>> under_way_;
  std::size_t bytes_ = 0;
};

std::size_t bytes_of(const Graph& graph, Value value) {
  return static_cast<std::size_t>(graph.shape(value).elements()) * size_of(graph.info(value).desc.dtype);
}

/// The leaves that the two towers make, of both. `bytes`: that crossed.
std::vector<Leaves> run_in_towers(const TrainingGraph& whole, std::size_t& bytes) {
  const auto backend = make_cpu_backend();
  Wire wire;
  std::vector<Leaves> made(2);
  std::vector<std::thread> threads;
  for (int tower = 0; tower < 2; ++tower)
    threads.emplace_back([&, tower] {
      const TrainingGraph part = part_of_tower(whole, tower, kBucketBytes).training;
      Memory memory(whole);
      Program program(part.graph, *backend, {.threads = 1, .outside = part.leaves, .keep = {}});
      memory.bind(program);
      made[static_cast<std::size_t>(tower)] = bind_leaves(program, part);
      program.set_external([&](const ExternalAttributes& call) {
        if (call.name != kTowerExchange) return;
        for (const Op& op : program.graph().ops()) {
          if (op.kind != OpKind::external || !(op.as<ExternalAttributes>() == call)) continue;
          for (Value value : op.inputs) wire.send(value.id, program.memory(value), bytes_of(part.graph, value));
          for (Value value : op.outputs) wire.receive(value.id, program.memory(value), bytes_of(part.graph, value));
        }
      });
      program.run();
    });
  for (std::thread& thread : threads) thread.join();
  bytes = wire.bytes();
  return made;
}

Leaves run_whole(const TrainingGraph& whole) {
  const auto backend = make_cpu_backend();
  Memory memory(whole);
  Program program(whole.graph, *backend, {.threads = 1, .outside = whole.leaves, .keep = {}});
  memory.bind(program);
  Leaves leaves = bind_leaves(program, whole);
  program.run();
  return leaves;
}

void expect_same_bits(const Task& task) {
  const TrainingGraph whole = build_training_graph(task, kBucketBytes);
  const Leaves one = run_whole(whole);
  std::size_t bytes = 0;
  const std::vector<Leaves> two = run_in_towers(whole, bytes);
  std::size_t compared = 0;
  for (const Leaves& part : two)
    for (const auto& [id, leaf] : part) {
      ++compared;
      EXPECT_EQ(std::memcmp(leaf.bytes(), one.at(id).bytes(), leaf.size_bytes()), 0) << "leaf " << id;
    }
  // 8 layers with two gradients in either tower; loss, weight and counts in both
  EXPECT_EQ(compared, 2U * (8 * 2 + 4));
  for (const auto& [id, leaf] : one) EXPECT_TRUE(two[0].contains(id) || two[1].contains(id)) << "leaf " << id << " is made nowhere";
}

TEST(PlaceTowers, GivesTheBitsOfOneProgram) { expect_same_bits(small_alexnet()); }

TEST(PlaceTowers, GivesTheBitsOfOneProgramWhereActivationsAreMadeAgain) {
  Task task = small_alexnet();
  task.recompute = Recompute::blocks;
  expect_same_bits(task);
}

TEST(PlaceTowers, GivesTheBitsOfOneProgramInMixedPrecision) {
  Task task = small_alexnet();
  task.compute = DType::bf16;
  expect_same_bits(task);
}

/// Forward a tower sends its maps of pool2, pool5, fc6 and fc7, and its logits; backward of the first four what the other's
/// channels need, since the loss is computed in both places.
TEST(PlaceTowers, LetsOnlyTheOtherTowersChannelsCross) {
  const TrainingGraph whole = build_training_graph(small_alexnet(), kBucketBytes);
  std::size_t bytes = 0;
  run_in_towers(whole, bytes);
  const std::size_t maps = 3 * 3 * 128 + 1 * 1 * 128 + 2048 + 2048;  // of a tower, a sample
  EXPECT_EQ(bytes, 2 * 4 * (2 * 2 * maps + 7));
}

TEST(PlaceTowers, LeavesAboutHalfOfTheWorkAndMemoryToEachTower) {
  const TrainingGraph whole = build_training_graph(small_alexnet(), kBucketBytes);
  const auto arena = [](const TrainingGraph& training) { return plan_memory(training.graph, training.leaves, {}).arena_bytes; };
  for (int tower = 0; tower < 2; ++tower) {
    const TrainingGraph part = part_of_tower(whole, tower, kBucketBytes).training;
    EXPECT_LT(arena(part), 0.7 * static_cast<double>(arena(whole)));
    std::int64_t own = 0, all = 0;
    for (std::int64_t elements : part.buckets.elements) own += elements;
    for (std::int64_t elements : whole.buckets.elements) all += elements;
    EXPECT_NEAR(static_cast<double>(own) / static_cast<double>(all), 0.5, 0.01);
    EXPECT_EQ(part.hash, whole.hash);
  }
}

TEST(PlaceTowers, RefusesANetworkWithoutTowers) {
  Task task = small_alexnet();
  task.options = {{"towers", "1"}};
  const TrainingGraph one = build_training_graph(task, kBucketBytes);
  EXPECT_EQ(count_towers(one.graph), 0);
  EXPECT_USAGE_ERROR(part_of_tower(one, 0, kBucketBytes), "2 towers", "none");
  Graph three;
  const Value x = three.add_input("x", {2, 8, 8, 4}, DType::f32);
  for (const char* name : {"tower0", "tower1", "tower2"}) {
    Graph::Scope scope(three, name);
    relu(three, conv(three, x, "conv", {.channels = 4}));
  }
  EXPECT_EQ(count_towers(three), 3);
  EXPECT_USAGE_ERROR(place_tower(three, {}, 0), "has 3");
}

}  // namespace
}  // namespace convoy
