#include "core/graph/recompute.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/graph/passes.h"

namespace convoy {
namespace {

/// Numbers of segments that are tried, until so many in a row have not needed less: the best is near the root of the depth.
constexpr std::size_t kSegments[] = {2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128};
constexpr int kInVain = 3;

class Copies {
 public:
  Copies(const ForwardPart& forward, const MadeAgain& again)
      : forward_(forward), again_(again), graph_(forward.graph()) {}

  Graph make(const std::vector<Value>& leaves) && {
    std::vector<Op> ops = std::exchange(graph_.ops(), {});
    for (std::size_t index = 0; index < ops.size(); ++index) {
      if (static_cast<int>(index) >= forward_.end()) serve(ops[index]);
      graph_.ops().push_back(std::move(ops[index]));
    }
    remove_unused(graph_, leaves);  // and numbers the producers anew
    return std::move(graph_);
  }

 private:
  const ForwardPart& forward_;
  const MadeAgain& again_;
  Graph graph_;
  std::map<int, Value> copies_;  // by the id of the first result

  bool is_copied(Value value) const {
    return forward_.is_result(value) && again_[static_cast<std::size_t>(forward_.root(value).id)];
  }

  Value copy_of(Value value) const {
    const auto made = copies_.find(value.id);
    return made == copies_.end() ? value : made->second;
  }

  /// Lets a backward op read copies, and makes those that are not there yet in the order of the first results.
  void serve(Op& reader) {
    std::set<int> missing;
    std::vector<Value> open = reader.inputs;
    while (!open.empty()) {
      const Value value = open.back();
      open.pop_back();
      if (!is_copied(value) || copies_.contains(value.id)) continue;
      const int producer = forward_.graph().info(value).producer;
      if (!missing.insert(producer).second) continue;
      const std::vector<Value>& operands = forward_.operands(producer);
      open.insert(open.end(), operands.begin(), operands.end());
    }
    for (const int index : missing) add_copy(index);
    for (Value& input : reader.inputs) input = copy_of(input);
  }

  void add_copy(int index) {
    Op copy = forward_.op(index);
    copy.inputs = forward_.operands(index);
    for (Value& input : copy.inputs) input = copy_of(input);
    for (Value& output : copy.outputs) {
      const Value fresh = graph_.add_result(graph_.info(output).desc, Role::activation);
      if (is_copied(output)) copies_.emplace(output.id, fresh);
      output = fresh;
    }
    graph_.ops().push_back(std::move(copy));
  }
};

}  // namespace

Graph with_copies(const ForwardPart& forward, const MadeAgain& again, const std::vector<Value>& leaves) {
  return Copies(forward, again).make(leaves);
}

std::size_t most_live_bytes(const Graph& graph, const std::vector<Value>& outside) {
  std::vector<int> root(graph.values().size()), last(graph.values().size(), -1);
  const auto number = [](Value value) { return static_cast<std::size_t>(value.id); };
  for (std::size_t id = 0; id < root.size(); ++id) root[id] = static_cast<int>(id);
  const auto& ops = graph.ops();
  for (std::size_t index = 0; index < ops.size(); ++index) {
    if (ops[index].kind == OpKind::reshape)
      root[number(ops[index].outputs.front())] = root[number(ops[index].inputs.front())];
    for (const auto* values : {&ops[index].inputs, &ops[index].outputs})
      for (Value value : *values) last[static_cast<std::size_t>(root[number(value)])] = static_cast<int>(index);
  }
  std::vector<bool> counts(root.size());
  for (std::size_t id = 0; id < root.size(); ++id) counts[id] = graph.values()[id].producer >= 0 && root[id] == static_cast<int>(id);
  for (Value value : outside) counts[number(value)] = false;
  std::vector<std::ptrdiff_t> change(ops.size() + 1, 0);  // of the bytes that live, before each op
  for (std::size_t id = 0; id < root.size(); ++id) {
    if (!counts[id]) continue;
    const ValueInfo& value = graph.values()[id];
    const auto bytes = static_cast<std::ptrdiff_t>(value.desc.shape.elements()) * static_cast<std::ptrdiff_t>(size_of(value.desc.dtype));
    change[static_cast<std::size_t>(value.producer)] += bytes;
    change[static_cast<std::size_t>(last[id]) + 1] -= bytes;
  }
  std::ptrdiff_t live = 0, most = 0;
  for (const std::ptrdiff_t each : change) most = std::max(most, live += each);
  return static_cast<std::size_t>(most);
}

namespace {

/// The offered choice whose graph needs the least memory; none if no graph needs less than the one without copies.
class Leanest {
 public:
  Leanest(const ForwardPart& forward, const std::vector<Value>& leaves)
      : forward_(forward), leaves_(leaves), least_(most_live_bytes(forward.graph(), leaves)) {}

  /// Whether it needs less than all before.
  bool offer(const MadeAgain& again) {
    Graph made = with_copies(forward_, again, leaves_);
    const std::size_t bytes = most_live_bytes(made, leaves_);
    if (bytes >= least_) return false;
    least_ = bytes;
    graph_ = std::move(made);
    return true;
  }

  std::optional<Graph> take() { return std::move(graph_); }

 private:
  const ForwardPart& forward_;
  const std::vector<Value>& leaves_;
  std::size_t least_;
  std::optional<Graph> graph_;
};

std::size_t needed_bytes(const ForwardPart& forward) {
  std::size_t bytes = 0;
  for (int index = 0; index < forward.end(); ++index)
    for (Value output : forward.op(index).outputs) bytes += forward.is_needed(output) ? forward.bytes(output) : 0;
  return bytes;
}

}  // namespace

void recompute(Graph& graph, Recompute what, const std::vector<Value>& leaves) {
  if (what == Recompute::off) return;
  const ForwardPart forward(graph);
  Leanest leanest(forward, leaves);
  if (what == Recompute::cheap) {
    leanest.offer(cheap_to_make_again(forward));
  } else {
    const std::size_t all = needed_bytes(forward);
    int in_vain = 0;
    for (const std::size_t segments : kSegments)
      if (in_vain < kInVain) in_vain = leanest.offer(made_again_in_segments(forward, all / segments)) ? 0 : in_vain + 1;
  }
  if (std::optional<Graph> made = leanest.take()) graph = std::move(*made);
}

}  // namespace convoy
