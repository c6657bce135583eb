#include "core/models/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace convoy {
namespace {

/// Size and step of the window of input pixels that one output pixel sees, per axis (Araujo et al. 2019, "Computing
/// receptive fields of convolutional neural networks"): size += (kernel reach) * step; step *= stride.
struct Window {
  PerAxis size{1, 1, 1};
  PerAxis step{1, 1, 1};
  int axes = 0;
};

struct Reach {
  PerAxis reach{};   // dilation (kernel - 1)
  PerAxis stride{1, 1, 1};
};

Reach reach_of(const Graph& graph, const Op& op) {
  Reach result;
  if (op.kind == OpKind::conv) {
    const auto& a = op.as<ConvAttributes>();
    for (std::size_t i = 0; i < 3; ++i) result.reach[i] = a.dilation[i] * (a.kernel[i] - 1);
    result.stride = a.stride;
  } else if (op.kind == OpKind::pool) {
    const auto& a = op.as<PoolAttributes>();
    const Shape& x = graph.shape(op.inputs.front());
    for (std::size_t i = 0; i < static_cast<std::size_t>(a.axes); ++i)
      result.reach[i] = (a.global ? x[1 + static_cast<int>(i)] : a.kernel[i]) - 1;
    if (!a.global) result.stride = a.stride;
  }
  return result;
}

Window window_of(const Graph& graph, const Op& op, const std::map<int, Window>& windows) {
  Window merged;
  for (Value input : op.inputs) {
    const auto entry = windows.find(input.id);
    if (entry == windows.end()) continue;  // parameters see nothing
    merged.axes = std::max(merged.axes, entry->second.axes);
    for (std::size_t i = 0; i < 3; ++i) {
      merged.size[i] = std::max(merged.size[i], entry->second.size[i]);
      merged.step[i] = std::max(merged.step[i], entry->second.step[i]);
    }
  }
  const Reach reach = reach_of(graph, op);
  const bool whole = op.kind == OpKind::dense && merged.axes > 0;  // sees every position of what it flattened
  if (whole) {
    const Op* source = &op;
    while (source->kind == OpKind::dense || source->kind == OpKind::reshape) {
      const int producer = graph.info(source->inputs.front()).producer;
      if (producer < 0) break;
      source = &graph.ops()[static_cast<std::size_t>(producer)];
    }
    const Shape& shape = source->outputs.empty() ? Shape{} : graph.shape(source->outputs.front());
    for (int axis = 0; axis < merged.axes && shape.rank() == merged.axes + 2; ++axis) {
      const auto i = static_cast<std::size_t>(axis);
      merged.size[i] += (shape[1 + axis] - 1) * merged.step[i];
    }
    return merged;
  }
  for (std::size_t i = 0; i < 3; ++i) {
    merged.size[i] += reach.reach[i] * merged.step[i];
    merged.step[i] *= reach.stride[i];
  }
  return merged;
}

std::string extents(const PerAxis& values, int axes) {
  std::string text;
  for (int axis = 0; axis < axes; ++axis)
    text += fmt::format("{}{}", axis ? "x" : "", values[static_cast<std::size_t>(axis)]);
  return text;
}

std::string stride_text(const PerAxis& stride, int axes) {
  const bool equal = std::all_of(stride.begin(), stride.begin() + axes, [&](auto s) { return s == stride[0]; });
  return equal ? fmt::format("{}", stride[0]) : extents(stride, axes);
}

std::string kind_text(const Op& op) {
  switch (op.kind) {
    case OpKind::conv: {
      const auto& a = op.as<ConvAttributes>();
      std::string text = fmt::format("conv {}/{}", extents(a.kernel, a.axes), stride_text(a.stride, a.axes));
      if (a.groups > 1) text += fmt::format(" in {} groups", a.groups);
      return text;
    }
    case OpKind::pool: {
      const auto& a = op.as<PoolAttributes>();
      const char* kind = a.kind == PoolKind::max ? "max" : a.kind == PoolKind::min ? "min" : "average";
      if (a.global) return fmt::format("global {} pool", kind);
      return fmt::format("{} pool {}/{}", kind, extents(a.kernel, a.axes), stride_text(a.stride, a.axes));
    }
    case OpKind::activation: {
      constexpr std::string_view kNames[] = {"none", "relu", "tanh", "sigmoid", "scaled tanh", "leaky relu", "elu",
                                             "negative part", "1 - x", "scale"};
      static_assert(std::size(kNames) == kActivationKinds);
      return std::string(kNames[static_cast<std::size_t>(op.as<ActivationAttributes>().kind)]);
    }
    case OpKind::dense: return "dense";
    case OpKind::batch_norm: return "batch norm";
    case OpKind::batch_norm_global: return "batch norm over the batch";
    case OpKind::dropout: return fmt::format("dropout {}", op.as<DropoutAttributes>().rate);
    case OpKind::multiply_channels: return "gain";
    case OpKind::add_channels: return "bias";
    case OpKind::pad_channels: return "zero channels";
    case OpKind::local_response: return "local response";
    case OpKind::layer_norm: return "layer norm";
    case OpKind::path_weights: return "paths taken";
    case OpKind::scale_samples: return "path";
    case OpKind::scatter_connections: return "connection table";
    default: return std::string(op_def(op.kind).name);
  }
}

Shape without_batch(const Shape& shape) { return Shape(shape.extents().subspan(1)); }

class Summarizer {
 public:
  Summarizer(const Graph& graph, Value input) : graph_(graph) {
    Window start;
    start.axes = graph.shape(input).rank() - 2;
    windows_[input.id] = start;
    row_of_[input.id] = -1;
  }

  ModelSummary run(Value input, std::string model) {
    ModelSummary summary{.model = std::move(model), .input = without_batch(graph_.shape(input)), .layers = {}};
    for (const Op& op : graph_.ops()) add(op, summary);
    for (const LayerRow& row : summary.layers) {
      summary.parameters += row.parameters;
      summary.multiply_adds += row.multiply_adds;
      summary.activation_bytes += row.activation_bytes;
    }
    for (Value constant : graph_.with_role(Role::constant)) summary.constants += graph_.shape(constant).elements();
    return summary;
  }

 private:
  const Graph& graph_;
  std::map<int, Window> windows_;
  std::map<int, int> row_of_;
  std::map<int, bool> counted_;
  std::int64_t pending_parameters_ = 0;  // of ops that only make filters (connection tables)

  /// Of a convolution whose filters come from a connection table: the share of (output, input) pairs that are linked.
  /// The literature counts the links; the zeros between them are multiplied all the same.
  double linked_share(const Op& op) const {
    if (op.kind != OpKind::conv) return 1;
    const int maker = graph_.info(op.inputs[1]).producer;
    if (maker < 0 || graph_.ops()[static_cast<std::size_t>(maker)].kind != OpKind::scatter_connections) return 1;
    const auto& table = graph_.ops()[static_cast<std::size_t>(maker)].as<ConnectionsAttributes>();
    return static_cast<double>(table.links.size()) / static_cast<double>(table.outputs * table.inputs);
  }

  std::int64_t parameters_of(const Op& op) {
    std::int64_t count = 0;
    for (Value operand : op.inputs)
      if (graph_.info(operand).role == Role::parameter && !counted_[operand.id]) {
        counted_[operand.id] = true;
        count += graph_.shape(operand).elements();
      }
    return count;
  }

  void add(const Op& op, ModelSummary& summary) {
    if (op.outputs.empty()) return;
    const bool data = std::any_of(op.inputs.begin(), op.inputs.end(),
                                  [&](Value operand) { return windows_.contains(operand.id); });
    pending_parameters_ += parameters_of(op);
    if (!data) return;
    const Value y = op.outputs.front();
    for (Value output : op.outputs) windows_[output.id] = window_of(graph_, op, windows_);
    if (op.kind == OpKind::reshape) {
      row_of_[y.id] = row_of_.at(op.inputs.front().id);
      return;
    }
    LayerRow row{.name = op.layer, .kind = kind_text(op), .output = without_batch(graph_.shape(y))};
    row.parameters = std::exchange(pending_parameters_, 0);
    std::vector<TensorDesc> inputs, outputs;
    for (Value operand : op.inputs) inputs.push_back(graph_.info(operand).desc);
    for (Value result : op.outputs) outputs.push_back(graph_.info(result).desc);
    row.multiply_adds = cost_of(op.kind, op.attributes, inputs, outputs).multiply_adds * linked_share(op);
    const Window& window = windows_.at(y.id);
    row.receptive_field.assign(window.size.begin(), window.size.begin() + window.axes);
    row.activation_bytes = static_cast<double>(graph_.shape(y).elements()) * static_cast<double>(size_of(graph_.real()));
    for (Value operand : op.inputs)
      if (row_of_.contains(operand.id)) row.inputs.push_back(row_of_.at(operand.id));
    for (Value output : op.outputs) row_of_[output.id] = static_cast<int>(summary.layers.size());
    summary.layers.push_back(std::move(row));
  }
};

}  // namespace

ModelSummary summarize(const Graph& graph, Value input, std::string model) {
  return Summarizer(graph, input).run(input, std::move(model));
}

}  // namespace convoy
