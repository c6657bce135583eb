#include <algorithm>
#include <set>

#include "core/graph/recompute.h"

namespace convoy {
namespace {

std::size_t number(Value value) { return static_cast<std::size_t>(value.id); }

/// Losses and metrics, data, weights of random paths and sums over the batch stay as they are. Backward ops are not asked for.
bool may_be_done_twice(OpKind kind) {
  switch (kind) {
    case OpKind::softmax_cross_entropy:
    case OpKind::mean_squared:
    case OpKind::binary_cross_entropy: return false;
    case OpKind::elementwise_chain: return true;
    default: return op_def(kind).gradient != nullptr;
  }
}

/// The first op that makes a gradient; the number of ops if there is none.
int begin_of_backward(const Graph& graph) {
  const auto makes_gradient = [&](const Op& op) {
    return std::any_of(op.outputs.begin(), op.outputs.end(), [&](Value v) { return graph.info(v).role == Role::gradient; });
  };
  return static_cast<int>(std::find_if(graph.ops().begin(), graph.ops().end(), makes_gradient) - graph.ops().begin());
}

}  // namespace

ForwardPart::ForwardPart(const Graph& graph)
    : graph_(graph), end_(begin_of_backward(graph)), needed_(graph.values().size(), false) {
  for (int index = 0; index < end_; ++index) {
    std::vector<Value> read;
    for (Value input : op(index).inputs) {
      const int producer = graph.info(input).producer;
      if (op(index).kind == OpKind::concat && producer >= 0 && op(producer).kind == OpKind::concat)
        read.insert(read.end(), operands(producer).begin(), operands(producer).end());
      else
        read.push_back(input);
    }
    sources_.push_back(roots_of(read));
    operands_.push_back(std::move(read));
  }
  for (int index = end_; index < static_cast<int>(graph.ops().size()); ++index)
    for (Value input : op(index).inputs)
      if (is_result(input)) needed_[number(root(input))] = true;
}

bool ForwardPart::is_result(Value value) const {
  const ValueInfo& info = graph_.info(value);
  return info.role == Role::activation && info.producer >= 0 && info.producer < end_;
}

std::size_t ForwardPart::bytes(Value value) const {
  const TensorDesc& desc = graph_.info(value).desc;
  return static_cast<std::size_t>(desc.shape.elements()) * size_of(desc.dtype);
}

Value ForwardPart::root(Value value) const {
  for (int producer = graph_.info(value).producer; producer >= 0 && op(producer).kind == OpKind::reshape;
       producer = graph_.info(value).producer)
    value = op(producer).inputs.front();
  return value;
}

std::vector<Value> ForwardPart::roots_of(const std::vector<Value>& operands) const {
  std::vector<Value> found;
  for (Value operand : operands) {
    const Value source = root(operand);
    if (is_result(source) && std::find(found.begin(), found.end(), source) == found.end()) found.push_back(source);
  }
  return found;
}

std::vector<Value> ForwardPart::replaceable(int index) const {
  const Op& op = this->op(index);
  if (op.kind == OpKind::reshape || !may_be_done_twice(op.kind)) return {};
  if (op.kind == OpKind::batch_norm || op.kind == OpKind::batch_norm_global) return {op.outputs.front()};
  return op.outputs;
}

MadeAgain cheap_to_make_again(const ForwardPart& forward) {
  constexpr int kDeepest = 2;
  const std::size_t values = forward.graph().values().size();
  MadeAgain again(values, false);
  std::vector<bool> kept(values, false);
  std::vector<int> depth(values, 0);  // ops in a row that make the value again
  for (std::size_t id = 0; id < values; ++id) kept[id] = forward.is_needed(Value{static_cast<int>(id)});
  for (int index = 0; index < forward.end(); ++index) {
    if (op_def(forward.op(index).kind).multiply_adds) continue;
    const std::vector<Value> results = forward.replaceable(index);
    const std::vector<Value>& sources = forward.sources(index);
    std::size_t gained = 0, added = 0;
    int deepest = 0;
    for (Value result : results) gained += kept[number(result)] ? forward.bytes(result) : 0;
    for (Value source : sources) {
      deepest = std::max(deepest, depth[number(source)]);
      if (!again[number(source)] && !kept[number(source)]) added += forward.bytes(source);
    }
    if (deepest == kDeepest || added >= gained) continue;
    for (Value source : sources) kept[number(source)] = kept[number(source)] || !again[number(source)];
    for (Value result : results) {
      again[number(result)] = true;
      kept[number(result)] = false;
      depth[number(result)] = deepest + 1;
    }
  }
  return again;
}

namespace {

class Segments {
 public:
  Segments(const ForwardPart& forward, std::size_t segment_bytes)
      : forward_(forward), most_(segment_bytes), last_(forward.graph().values().size(), -1),
        kept_(forward.graph().values().size(), true) {
    for (int index = 0; index < forward.end(); ++index) {
      for (Value source : forward.sources(index)) last_[number(source)] = index;
      for (Value result : forward.replaceable(index)) kept_[number(result)] = false;
    }
  }

  MadeAgain choose() {
    for (int index = 0; index < forward_.end(); ++index) {
      if (since_cut(index) >= most_ / 2) consider(index);
      if (best_ > cut_ && since_cut(index + 1) > most_) take_best();
      pass(index);
    }
    MadeAgain again(last_.size(), false);
    for (int index = 0; index < cut_; ++index)
      for (Value result : forward_.replaceable(index)) again[number(result)] = !kept_[number(result)];
    return again;
  }

 private:
  const ForwardPart& forward_;
  std::size_t most_;
  std::vector<int> last_;   // by root, the last op of the forward part of which a copy reads it; -1: none
  std::vector<bool> kept_;  // by root
  std::set<int> live_;      // roots made before the op that is passed and read by it or later
  int cut_ = 0, best_ = 0;  // positions: before the op of that number
  std::vector<int> crossing_best_;
  std::size_t best_bytes_ = 0;
  std::vector<std::size_t> sums_{0};  // of needed bytes, of the ops before each

  /// Needed bytes of the ops from the last cut to before `index`.
  std::size_t since_cut(int index) {
    while (static_cast<int>(sums_.size()) <= index) {
      std::size_t bytes = 0;
      for (Value output : forward_.op(static_cast<int>(sums_.size()) - 1).outputs)
        if (forward_.is_needed(output)) bytes += forward_.bytes(output);
      sums_.push_back(sums_.back() + bytes);
    }
    return sums_[static_cast<std::size_t>(index)] - sums_[static_cast<std::size_t>(cut_)];
  }

  /// A cut right before op `index`; of cuts that cost the same the latest is taken.
  void consider(int index) {
    std::size_t bytes = 0;
    for (const int id : live_) bytes += kept_[static_cast<std::size_t>(id)] ? 0 : forward_.bytes(Value{id});
    if (best_ > cut_ && bytes > best_bytes_) return;
    best_ = index;
    best_bytes_ = bytes;
    crossing_best_.assign(live_.begin(), live_.end());
  }

  void take_best() {
    for (const int id : crossing_best_) kept_[static_cast<std::size_t>(id)] = true;
    cut_ = best_;
  }

  void pass(int index) {
    for (Value source : forward_.sources(index))
      if (last_[number(source)] == index) live_.erase(source.id);
    for (Value output : forward_.op(index).outputs)
      if (forward_.op(index).kind != OpKind::reshape && forward_.is_result(output) && last_[number(output)] > index)
        live_.insert(output.id);
  }
};

}  // namespace

MadeAgain made_again_in_segments(const ForwardPart& forward, std::size_t segment_bytes) {
  return Segments(forward, segment_bytes).choose();
}

}  // namespace convoy
