#include "core/graph/place_towers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>
#include <utility>

#include "core/tensor/error.h"

namespace convoy {
namespace {

constexpr int kTowers = 2;
constexpr unsigned kBoth = 3;      // sets of towers are bits

/// -1: of no tower.
int tower_of(std::string_view layer) {
  constexpr std::string_view kScope = "tower";
  if (!layer.starts_with(kScope)) return -1;
  const std::string_view rest = layer.substr(kScope.size());
  int tower = -1;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), tower);
  return error == std::errc{} && (end == rest.data() + rest.size() || *end == '/') ? tower : -1;
}

int maker_of(const Graph& graph, Value value) { return graph.info(value).producer; }

void number_producers(Graph& graph) {
  for (std::size_t id = 0; id < graph.values().size(); ++id) graph.info({static_cast<int>(id)}).producer = -1;
  for (std::size_t index = 0; index < graph.ops().size(); ++index)
    for (Value output : graph.ops()[index].outputs) graph.info(output).producer = static_cast<int>(index);
}

/// Sums of terms that different towers make, and that slices alone read: slice(a + b) becomes slice(a) + slice(b).
void slice_before_sums(Graph& graph, const std::vector<Value>& leaves) {
  std::map<int, std::vector<const Op*>> readers;  // by value id
  for (const Op& op : graph.ops())
    for (Value input : op.inputs) readers[input.id].push_back(&op);
  const auto is_crossing_sum = [&](const Op& op) {
    if (op.kind != OpKind::add || std::find(leaves.begin(), leaves.end(), op.outputs.front()) != leaves.end()) return false;
    std::vector<int> towers;
    for (Value term : op.inputs)
      if (const int maker = maker_of(graph, term); maker >= 0) towers.push_back(tower_of(graph.ops()[static_cast<std::size_t>(maker)].layer));
    const bool crosses = std::count(towers.begin(), towers.end(), 0) > 0 && std::count(towers.begin(), towers.end(), 1) > 0;
    const auto& all = readers[op.outputs.front().id];
    return crosses && !all.empty() && std::all_of(all.begin(), all.end(), [](const Op* reader) { return reader->kind == OpKind::slice; });
  };
  std::map<int, Op> sums;            // taken apart, by the id of what they made
  for (const Op& op : graph.ops())
    if (is_crossing_sum(op)) sums.emplace(op.outputs.front().id, op);
  std::vector<Op> ops;
  for (const Op& op : std::vector<Op>(graph.ops())) {
    if (op.kind == OpKind::add && sums.contains(op.outputs.front().id)) continue;
    if (op.kind != OpKind::slice || !sums.contains(op.inputs.front().id)) {
      ops.push_back(op);
      continue;
    }
    Op sum = sums.at(op.inputs.front().id);
    for (Value& term : sum.inputs) {
      const TensorDesc& whole = graph.info(term).desc;
      const TensorDesc part{graph.shape(op.outputs.front()), whole.dtype};
      const Value made = graph.add_result(part, graph.info(term).role);
      ops.push_back({OpKind::slice, op.attributes, {term}, {made}, op.layer});
      term = made;
    }
    sum.outputs = op.outputs;
    ops.push_back(std::move(sum));
  }
  graph.ops() = std::move(ops);
  number_producers(graph);
}

/// Where ops run and values are made, and what crosses.
class Placement {
 public:
  Placement(const Graph& graph, const std::vector<Value>& leaves) : graph_(graph), runs_in_(graph.ops().size(), 0), made_in_(graph.values().size(), 0) {
    own();
    demand(leaves);
    cross();
  }

  bool runs(std::size_t op, int tower) const { return (runs_in_[op] & 1U << tower) != 0; }
  bool makes(Value value, int tower) const { return (made_in_[static_cast<std::size_t>(value.id)] & 1U << tower) != 0; }

  struct Crossing {
    Value value;
    int to;
  };
  /// By the op before which they happen.
  const std::map<std::size_t, std::vector<Crossing>>& exchanges() const { return exchanges_; }

 private:
  const Graph& graph_;
  std::vector<unsigned> runs_in_, made_in_;
  std::map<std::size_t, std::vector<Crossing>> exchanges_;

  /// Layers run in their towers. So do slices of what a tower alone makes: less crosses then.
  void own() {
    for (std::size_t index = 0; index < graph_.ops().size(); ++index) {
      const Op& op = graph_.ops()[index];
      if (const int tower = tower_of(op.layer); tower >= 0) {
        runs_in_[index] = 1U << tower;
      } else if (op.kind == OpKind::slice) {
        const int maker = maker_of(graph_, op.inputs.front());
        if (maker >= 0) runs_in_[index] = runs_in_[static_cast<std::size_t>(maker)];
      }
    }
  }

  /// All other ops run wherever what they make is read; leaves among that are needed in both places.
  void demand(const std::vector<Value>& leaves) {
    std::vector<unsigned> wanted(graph_.values().size(), 0);
    for (Value leaf : leaves) wanted[static_cast<std::size_t>(leaf.id)] = kBoth;
    for (std::size_t index = graph_.ops().size(); index-- > 0;) {
      const Op& op = graph_.ops()[index];
      if (runs_in_[index] == 0)
        for (Value output : op.outputs) runs_in_[index] |= wanted[static_cast<std::size_t>(output.id)];
      for (Value output : op.outputs) made_in_[static_cast<std::size_t>(output.id)] = runs_in_[index];
      for (Value input : op.inputs) wanted[static_cast<std::size_t>(input.id)] |= runs_in_[index];
    }
  }

  /// Each value once, before the first op that needs it there, or with an earlier exchange by which it is made.
  void cross() {
    std::vector<unsigned> there = made_in_;
    for (std::size_t index = 0; index < graph_.ops().size(); ++index)
      for (int tower = 0; tower < kTowers; ++tower) {
        if (!runs(index, tower)) continue;
        for (Value input : graph_.ops()[index].inputs) {
          unsigned& places = there[static_cast<std::size_t>(input.id)];
          const int maker = maker_of(graph_, input);
          if (maker < 0 || (places & 1U << tower) != 0) continue;
          places |= 1U << tower;
          auto exchange = exchanges_.upper_bound(static_cast<std::size_t>(maker));
          if (exchange == exchanges_.end()) exchange = exchanges_.emplace(index, std::vector<Crossing>{}).first;
          exchange->second.push_back({input, tower});
        }
      }
  }
};

}  // namespace

int count_towers(const Graph& graph) {
  int towers = 0;
  for (const Op& op : graph.ops()) towers = std::max(towers, tower_of(op.layer) + 1);
  return towers;
}

TowerPart place_tower(const Graph& graph, const std::vector<Value>& leaves, int tower) {
  if (const int towers = count_towers(graph); towers != kTowers)
    throw UsageError(fmt::format("model parallelism places the layers of {} towers, but this network has {}", kTowers,
                                 towers == 0 ? "none" : std::to_string(towers)));
  Graph whole = graph;
  std::erase_if(whole.ops(), [](const Op& op) { return op.kind == OpKind::external; });
  number_producers(whole);
  slice_before_sums(whole, leaves);
  const Placement placement(whole, leaves);
  TowerPart part{whole, {}, {}, static_cast<int>(placement.exchanges().size())};
  for (const ValueInfo& value : whole.values()) part.made_at.push_back(value.producer);
  std::vector<Op> ops;
  int number = 0;
  auto next = placement.exchanges().begin();
  for (std::size_t index = 0; index < whole.ops().size(); ++index) {
    if (next != placement.exchanges().end() && next->first == index) {
      Op exchange{OpKind::external, ExternalAttributes{kTowerExchange, number++}, {}, {}, ""};
      for (const auto& [value, to] : next->second) (to == tower ? exchange.outputs : exchange.inputs).push_back(value);
      ops.push_back(std::move(exchange));
      ++next;
    }
    if (placement.runs(index, tower)) ops.push_back(whole.ops()[index]);
  }
  part.graph.ops() = std::move(ops);
  number_producers(part.graph);
  std::copy_if(leaves.begin(), leaves.end(), std::back_inserter(part.leaves), [&](Value leaf) { return placement.makes(leaf, tower); });
  std::erase_if(part.graph.running_statistics(), [&](const RunningStatistic& statistic) { return !placement.makes(statistic.sample, tower); });
  return part;
}

}  // namespace convoy
