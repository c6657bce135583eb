// The memory planner on random graphs: values that live at the same time never share bytes.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/graph/layers.h"
#include "core/graph/passes.h"

namespace convoy {
namespace {

/// A random network: every op reads values made before it, near or far.
Graph random_graph(std::mt19937& random, std::vector<Value>& keep) {
  Graph graph;
  std::vector<Value> values{graph.add_input("x", {2, 6, 6, 4}, DType::f32)};
  values.push_back(relu(graph, values[0]));
  const int ops = 5 + static_cast<int>(random() % 60);
  for (int i = 0; i < ops; ++i) {
    const auto pick = [&] { return values[random() % values.size()]; };
    const auto same_shape = [&](Value like) {
      std::vector<Value> fitting;
      for (Value value : values)
        if (graph.shape(value) == graph.shape(like)) fitting.push_back(value);
      return fitting[random() % fitting.size()];
    };
    const Value x = pick();
    switch (random() % 5) {
      case 0: values.push_back(relu(graph, x)); break;
      case 1: values.push_back(add(graph, {x, same_shape(x)})); break;
      case 2: values.push_back(slice_channels(graph, x, 0, 1 + static_cast<std::int64_t>(random()) % graph.shape(x)[-1])); break;
      case 3: values.push_back(pad_channels(graph, x, 0, graph.shape(x)[-1] + static_cast<std::int64_t>(random() % 3))); break;
      default: values.push_back(reshape(graph, x, graph.shape(x)));
    }
  }
  for (int i = 0; i < 3; ++i) keep.push_back(values[1 + random() % (values.size() - 1)]);
  return graph;
}

int root_of(const MemoryPlan& plan, int id) {
  while (plan.places[static_cast<std::size_t>(id)].alias_of >= 0) id = plan.places[static_cast<std::size_t>(id)].alias_of;
  return id;
}

/// First and last op at which each value's bytes must be what the value says.
struct Life {
  int first = 0, last = 0;
};
std::vector<Life> lives_of(const Graph& graph, const std::vector<Value>& keep) {
  std::vector<Life> lives(graph.values().size());
  for (std::size_t id = 0; id < lives.size(); ++id) lives[id].first = lives[id].last = graph.values()[id].producer;
  for (std::size_t op = 0; op < graph.ops().size(); ++op)
    for (Value input : graph.ops()[op].inputs)
      lives[static_cast<std::size_t>(input.id)].last = std::max(lives[static_cast<std::size_t>(input.id)].last, static_cast<int>(op));
  for (Value value : keep) lives[static_cast<std::size_t>(value.id)].last = static_cast<int>(graph.ops().size());
  return lives;
}

bool overlap(const MemoryPlan::Place& a, const MemoryPlan::Place& b) {
  return a.offset < b.offset + b.size && b.offset < a.offset + a.size;
}

/// Values of one view group hold the same content; all others must not meet in memory while both live.
void expect_disjoint(const Graph& graph, const MemoryPlan& plan, const std::vector<Value>& keep, unsigned seed) {
  const std::vector<Life> lives = lives_of(graph, keep);
  for (std::size_t a = 0; a < lives.size(); ++a)
    for (std::size_t b = a + 1; b < lives.size(); ++b) {
      const auto& first = plan.places[a];
      const auto& second = plan.places[b];
      if (!first.in_arena || !second.in_arena || !overlap(first, second)) continue;
      const bool views = graph.ops()[static_cast<std::size_t>(graph.values()[b].producer)].kind == OpKind::reshape ||
                         graph.ops()[static_cast<std::size_t>(graph.values()[a].producer)].kind == OpKind::reshape;
      if (views && root_of(plan, static_cast<int>(a)) == root_of(plan, static_cast<int>(b))) continue;
      const bool apart = lives[a].last < lives[b].first || lives[b].last < lives[a].first;
      EXPECT_TRUE(apart) << "seed " << seed << ": values " << a << " [" << lives[a].first << ", " << lives[a].last
                         << "] and " << b << " [" << lives[b].first << ", " << lives[b].last << "] share bytes";
    }
}

TEST(PlanMemory, NeverLetsTwoLiveValuesOverlap) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    std::vector<Value> keep;
    const Graph graph = random_graph(random, keep);
    const MemoryPlan plan = plan_memory(graph, {}, keep);
    expect_disjoint(graph, plan, keep, seed);
    for (const auto& place : plan.places) {
      if (!place.in_arena) continue;
      EXPECT_LE(place.offset + place.size, plan.arena_bytes) << "seed " << seed;
    }
  }
}

TEST(PlanMemory, KeepsValuesApartWhenOpsRunInPlace) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed + 1000);
    std::vector<Value> keep;
    const Graph graph = random_graph(random, keep);
    std::vector<std::vector<std::pair<int, int>>> in_place;
    for (const Op& op : graph.ops())
      in_place.push_back(op.kind == OpKind::activation ? std::vector<std::pair<int, int>>{{0, 0}}
                                                       : std::vector<std::pair<int, int>>{});
    const MemoryPlan plan = plan_memory(graph, {}, keep, in_place);
    const std::vector<Life> lives = lives_of(graph, keep);
    for (std::size_t a = 0; a < lives.size(); ++a)
      for (std::size_t b = a + 1; b < lives.size(); ++b) {
        const auto& first = plan.places[a];
        const auto& second = plan.places[b];
        if (!first.in_arena || !second.in_arena || !overlap(first, second)) continue;
        if (root_of(plan, static_cast<int>(a)) == root_of(plan, static_cast<int>(b))) continue;
        EXPECT_TRUE(lives[a].last < lives[b].first || lives[b].last < lives[a].first) << "seed " << seed;
      }
  }
}

TEST(PlanMemory, ReusesTheMemoryOfDeadValues) {
  Graph graph;
  Value x = graph.add_input("x", {1, 64, 64, 16}, DType::f32);
  for (int i = 0; i < 20; ++i) x = relu(graph, x);
  const MemoryPlan plan = plan_memory(graph, {}, {x});
  EXPECT_EQ(plan.arena_bytes, std::size_t{2} * 64 * 64 * 16 * 4);  // one being read, one being written
}

TEST(PlanMemory, TakesNoOutputInPlaceOfAValueThatIsReadAgain) {
  Graph graph;
  const Value x = graph.add_input("x", {1, 4, 4, 4}, DType::f32);
  const Value a = relu(graph, x), b = relu(graph, a), c = add(graph, {a, b});
  const MemoryPlan plan = plan_memory(graph, {}, {c}, {{{0, 0}}, {{0, 0}}, {}});
  EXPECT_FALSE(overlap(plan.places[static_cast<std::size_t>(a.id)], plan.places[static_cast<std::size_t>(b.id)]));
}

}  // namespace
}  // namespace convoy
