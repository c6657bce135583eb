// Offsets by liveness: values that live at the same time get disjoint ranges of one arena. Greedy by size (Pisarchyk &
// Lee 2020, "Efficient memory management for deep neural net inference", section 5.2): the largest value first, each
// at the lowest offset that is free for its whole life.
#include <algorithm>

#include "core/graph/passes.h"

namespace convoy {
namespace {

constexpr std::size_t kAlignment = 64;

std::size_t aligned(std::size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

class Planner {
 public:
  Planner(const Graph& graph, const std::vector<Value>& outside, const std::vector<Value>& keep)
      : graph_(graph), last_(static_cast<int>(graph.ops().size())), pinned_(graph.values().size(), false) {
    plan_.places.resize(graph.values().size());
    for (std::size_t id = 0; id < plan_.places.size(); ++id) {
      const ValueInfo& value = graph.values()[id];
      MemoryPlan::Place& place = plan_.places[id];
      place.in_arena = value.role == Role::activation || value.role == Role::gradient;
      place.size = aligned(static_cast<std::size_t>(value.desc.shape.elements()) * size_of(value.desc.dtype));
      place.first_op = place.last_op = value.producer;
    }
    for (Value value : outside) at(value).in_arena = false;
    mark_reads(keep);
  }

  /// Views share the place of what they view.
  void alias_views() {
    for (const Op& op : graph_.ops())
      if (op.kind == OpKind::reshape) share(op.outputs.front().id, op.inputs.front().id);
  }

  /// An output takes the place of an input that dies with the op; several outputs those of several inputs.
  void alias_in_place(const std::vector<std::vector<std::pair<int, int>>>& in_place) {
    for (std::size_t index = 0; index < in_place.size(); ++index) {
      const Op& op = graph_.ops()[index];
      for (const auto& [input, output] : in_place[index]) {
        const int source = op.inputs[static_cast<std::size_t>(input)].id;
        const int target = op.outputs[static_cast<std::size_t>(output)].id;
        const MemoryPlan::Place& from = plan_.places[static_cast<std::size_t>(root(source))];
        const MemoryPlan::Place& to = plan_.places[static_cast<std::size_t>(target)];
        if (from.in_arena && to.in_arena && to.alias_of < 0 && from.last_op == static_cast<int>(index) &&
            from.size == to.size && !pinned_[static_cast<std::size_t>(root(source))] && root(source) != target)
          share(target, source);
      }
    }
  }

  MemoryPlan place() {
    std::vector<int> order;
    for (std::size_t id = 0; id < plan_.places.size(); ++id)
      if (plan_.places[id].in_arena && plan_.places[id].alias_of < 0 && plan_.places[id].first_op >= 0)
        order.push_back(static_cast<int>(id));
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return of(a).size > of(b).size; });
    std::vector<int> placed;
    for (int id : order) {
      of(id).offset = lowest_free(id, placed);
      plan_.arena_bytes = std::max(plan_.arena_bytes, of(id).offset + of(id).size);
      placed.insert(std::upper_bound(placed.begin(), placed.end(), id,
                                     [&](int a, int b) { return of(a).offset < of(b).offset; }),
                    id);
    }
    for (std::size_t id = 0; id < plan_.places.size(); ++id)
      if (plan_.places[id].alias_of >= 0) {
        const MemoryPlan::Place& source = of(root(static_cast<int>(id)));
        plan_.places[id].offset = source.offset;
        plan_.places[id].in_arena = source.in_arena;
      }
    return std::move(plan_);
  }

 private:
  const Graph& graph_;
  int last_;
  std::vector<bool> pinned_;  // read after the run: must not be overwritten in place
  MemoryPlan plan_;

  MemoryPlan::Place& of(int id) { return plan_.places[static_cast<std::size_t>(id)]; }
  MemoryPlan::Place& at(Value value) { return of(value.id); }

  int root(int id) const {
    while (plan_.places[static_cast<std::size_t>(id)].alias_of >= 0)
      id = plan_.places[static_cast<std::size_t>(id)].alias_of;
    return id;
  }

  void share(int target, int source) {
    of(target).alias_of = source;
    MemoryPlan::Place& place = of(root(source));
    place.last_op = std::max(place.last_op, of(target).last_op);
    pinned_[static_cast<std::size_t>(root(source))] =
        pinned_[static_cast<std::size_t>(root(source))] || pinned_[static_cast<std::size_t>(target)];
  }

  void mark_reads(const std::vector<Value>& keep) {
    for (std::size_t index = 0; index < graph_.ops().size(); ++index)
      for (Value input : graph_.ops()[index].inputs)
        at(input).last_op = std::max(at(input).last_op, static_cast<int>(index));
    for (Value value : keep) {
      at(value).last_op = last_;
      pinned_[static_cast<std::size_t>(value.id)] = true;
    }
  }

  /// The lowest offset at which `id` overlaps no placed value that lives at the same time; `placed` is by offset.
  std::size_t lowest_free(int id, const std::vector<int>& placed) {
    std::size_t offset = 0;
    for (int other : placed) {
      const MemoryPlan::Place& taken = of(other);
      if (taken.last_op < of(id).first_op || taken.first_op > of(id).last_op) continue;
      if (offset + of(id).size <= taken.offset) break;
      offset = std::max(offset, taken.offset + taken.size);
    }
    return offset;
  }
};

}  // namespace

MemoryPlan plan_memory(const Graph& graph, const std::vector<Value>& outside, const std::vector<Value>& keep,
                       const std::vector<std::vector<std::pair<int, int>>>& in_place) {
  Planner planner(graph, outside, keep);
  planner.alias_views();
  planner.alias_in_place(in_place);
  return planner.place();
}

}  // namespace convoy
