// Ops of inference graphs as ONNX operators (onnx/docs/Operators.md, opset 13).
#include <fmt/format.h>

#include "core/ops/window.h"
#include "core/tensor/error.h"
#include "launch/transfer/onnx_graph.h"
#include "launch/transfer/outside_tensors.h"

namespace convoy {
namespace {

using Attributes = std::map<std::string, OnnxAttribute>;
using Numbers = std::vector<std::int64_t>;

[[noreturn]] void refuse(const Op& op, const std::string& why) {
  throw UsageError(fmt::format("layer {}: {}; export as safetensors instead", op.layer, why));
}

Numbers first_axes(const PerAxis& values, int axes) { return {values.begin(), values.begin() + axes}; }

/// All low borders, then all high ones.
Numbers borders(const PerAxis& low, const PerAxis& high, int axes) {
  Numbers numbers = first_axes(low, axes);
  numbers.insert(numbers.end(), high.begin(), high.begin() + axes);
  return numbers;
}

/// The tensor in the layout of [n, c, s..] activations.
std::string outside(OnnxGraph& onnx, Value value) {
  for (const OutsideTensor& tensor : outside_tensors(onnx.graph()))
    if (tensor.name == onnx.graph().info(value).name) return onnx.constant(tensor.name, to_outside(onnx.stored(value), tensor));
  throw Error("a value that no op reads");
}

/// (stored value - mean) / deviation, per channel.
void convert_prepare(OnnxGraph& onnx, const Op& op) {
  const auto& a = op.as<PrepareAttributes>();
  const bool shifted = a.mean != std::vector<double>(a.mean.size(), 0), scaled = a.deviation != std::vector<double>(a.deviation.size(), 1);
  std::vector<std::int64_t> extents(static_cast<std::size_t>(a.axes) + 1, 1);
  extents[0] = static_cast<std::int64_t>(a.mean.size());
  const Shape shape(extents);
  const std::string images = onnx.name_of(op.inputs[0]);
  if (!shifted && !scaled) return onnx.set_name(op.outputs[0], images);
  const std::string centred = onnx.between(op, "Sub", {images, onnx.reals("mean", {a.mean.begin(), a.mean.end()}, shape)});
  onnx.add(op.outputs[0], "Div", {centred, onnx.reals("deviation", {a.deviation.begin(), a.deviation.end()}, shape)});
}

/// Zeros, or what ONNX's Pad calls reflect and edge.
std::string padded(OnnxGraph& onnx, const Op& op, const ConvAttributes& a) {
  if (a.pad_mode == PadMode::symmetric) refuse(op, "ONNX has no padding that mirrors with the edge pixel repeated");
  Numbers pads(2, 0);  // batch and channels
  pads.insert(pads.end(), a.pad_low.begin(), a.pad_low.begin() + a.axes);
  pads.insert(pads.end(), 2, 0);
  pads.insert(pads.end(), a.pad_high.begin(), a.pad_high.begin() + a.axes);
  return onnx.between(op, "Pad", {onnx.name_of(op.inputs[0]), onnx.integers(op.layer + "/pads", pads)},
                      {{"mode", a.pad_mode == PadMode::reflect ? "reflect" : "edge"}});
}

/// LeNet-5's compact filters [links, k..] as [o, c, k..], zeros where no link is.
std::string scattered(OnnxGraph& onnx, const Op& scatter) {
  const auto& a = scatter.as<ConnectionsAttributes>();
  const Tensor& compact = onnx.stored(scatter.inputs[0]);
  std::vector<std::int64_t> extents{a.outputs, a.inputs};
  extents.insert(extents.end(), compact.shape().extents().begin() + 1, compact.shape().extents().end());
  Tensor filters{Shape(extents), DType::f32};
  const std::int64_t taps = compact.shape().elements(1, compact.shape().rank());
  const auto from = compact.values<float>();
  auto to = filters.values<float>();
  for (std::size_t link = 0; link < a.links.size(); ++link) {
    const auto [output, input] = a.links[link];
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(link) * taps, taps, to.begin() + (output * a.inputs + input) * taps);
  }
  return onnx.constant(onnx.graph().info(scatter.inputs[0]).name, std::move(filters));
}

void convert_conv(OnnxGraph& onnx, const Op& op) {
  const auto& a = op.as<ConvAttributes>();
  const bool zeros = a.pad_mode == PadMode::zero;
  const ValueInfo& filters = onnx.graph().info(op.inputs[1]);
  std::vector<std::string> inputs{zeros ? onnx.name_of(op.inputs[0]) : padded(onnx, op, a),
                                  filters.producer < 0 ? outside(onnx, op.inputs[1])
                                                       : onnx.name_of(op.inputs[1])};
  if (a.bias) inputs.push_back(outside(onnx, op.inputs[2]));
  onnx.add(op.outputs[0], "Conv", inputs,
           {{"kernel_shape", first_axes(a.kernel, a.axes)},
            {"strides", first_axes(a.stride, a.axes)},
            {"dilations", first_axes(a.dilation, a.axes)},
            {"pads", zeros ? borders(a.pad_low, a.pad_high, a.axes) : Numbers(static_cast<std::size_t>(2 * a.axes), 0)},
            {"group", a.groups}});
}

void convert_dense(OnnxGraph& onnx, const Op& op) {
  std::vector<std::string> inputs{onnx.name_of(op.inputs[0]), outside(onnx, op.inputs[1])};
  if (op.as<DenseAttributes>().bias) inputs.push_back(outside(onnx, op.inputs[2]));
  onnx.add(op.outputs[0], "Gemm", inputs, {{"transB", std::int64_t{1}}});
}

/// Rounded-up extents become padding at the high side: readers of ONNX disagree on ceil_mode's last window.
PerAxis high_border(const Op& op, const PoolAttributes& a, const Window& w) {
  PerAxis high = a.pad_high;
  for (std::size_t axis = 0; axis < static_cast<std::size_t>(a.axes); ++axis) {
    const std::int64_t reach = (w.output[axis] - 1) * w.stride[axis] + w.kernel[axis];
    const std::int64_t beyond = reach - w.input[axis] - w.pad_low[axis] - w.pad_high[axis];
    if (beyond <= 0) continue;
    if (a.kind == PoolKind::average && a.count_padding)
      refuse(op, "ONNX has no average whose last window leaves the counted padding");
    high[axis] += beyond;
  }
  return high;
}

void convert_pool(OnnxGraph& onnx, const Op& op) {
  const auto& a = op.as<PoolAttributes>();
  const bool average = a.kind == PoolKind::average, least = a.kind == PoolKind::min;
  std::string x = onnx.name_of(op.inputs[0]);
  if (least) x = onnx.between(op, "Neg", {x});
  std::string type = a.global ? "Global" : "";
  type += average ? "AveragePool" : "MaxPool";
  Attributes attributes;
  if (!a.global) {
    const Window w = window_of(a, onnx.graph().shape(op.inputs[0]));
    attributes = {{"kernel_shape", first_axes(a.kernel, a.axes)},
                  {"strides", first_axes(a.stride, a.axes)},
                  {"pads", borders(a.pad_low, high_border(op, a, w), a.axes)}};
    if (average) attributes["count_include_pad"] = std::int64_t{a.count_padding};
  }
  if (!least) return onnx.add(op.outputs[0], type, {x}, attributes);
  onnx.add(op.outputs[0], "Neg", {onnx.between(op, type, {x}, attributes)});
}

void convert_activation(OnnxGraph& onnx, const Op& op) {
  const std::string x = onnx.name_of(op.inputs[0]);
  const auto [kind, slope] = op.as<ActivationAttributes>();
  const auto number = static_cast<float>(slope);
  switch (kind) {
    case ActivationKind::none: return onnx.add(op.outputs[0], "Identity", {x});
    case ActivationKind::relu: return onnx.add(op.outputs[0], "Relu", {x});
    case ActivationKind::tanh: return onnx.add(op.outputs[0], "Tanh", {x});
    case ActivationKind::sigmoid: return onnx.add(op.outputs[0], "Sigmoid", {x});
    case ActivationKind::scaled_tanh: {
      const std::string factor = onnx.reals("scaled_tanh/slope", {2.0f / 3}, Shape{}), height = onnx.reals("scaled_tanh/height", {1.7159f}, Shape{});
      return onnx.add(op.outputs[0], "Mul", {onnx.between(op, "Tanh", {onnx.between(op, "Mul", {x, factor})}), height});
    }
    case ActivationKind::leaky_relu: return onnx.add(op.outputs[0], "LeakyRelu", {x}, {{"alpha", number}});
    case ActivationKind::elu: return onnx.add(op.outputs[0], "Elu", {x}, {{"alpha", number}});
    case ActivationKind::negative_part:
      return onnx.add(op.outputs[0], "Neg", {onnx.between(op, "Relu", {onnx.between(op, "Neg", {x})})});
    case ActivationKind::complement: return onnx.add(op.outputs[0], "Sub", {onnx.reals(op.layer + "/one", {1}, Shape{}), x});
    case ActivationKind::scale: return onnx.add(op.outputs[0], "Mul", {x, onnx.reals(op.layer + "/factor", {number}, Shape{})});
    case ActivationKind::count_: break;
  }
}

/// ONNX divides alpha by the number of neighbours.
void convert_local_response(OnnxGraph& onnx, const Op& op) {
  const auto& a = op.as<LocalResponseAttributes>();
  onnx.add(op.outputs[0], "LRN", {onnx.name_of(op.inputs[0])},
           {{"size", a.size},
            {"alpha", static_cast<float>(a.alpha * static_cast<double>(a.size))},
            {"beta", static_cast<float>(a.beta)},
            {"bias", static_cast<float>(a.k)}});
}

/// Over the channels, which are axis 1 there.
void convert_layer_norm(OnnxGraph& onnx, const Op& op) {
  const auto mean_of = [&](const std::string& x) { return onnx.between(op, "ReduceMean", {x}, {{"axes", Numbers{1}}}); };
  const std::string x = onnx.name_of(op.inputs[0]), centred = onnx.between(op, "Sub", {x, mean_of(x)});
  const std::string variance = mean_of(onnx.between(op, "Mul", {centred, centred}));
  const std::string epsilon = onnx.reals(op.layer + "/epsilon", {static_cast<float>(op.as<LayerNormAttributes>().epsilon)}, Shape{});
  onnx.add(op.outputs[0], "Div", {centred, onnx.between(op, "Sqrt", {onnx.between(op, "Add", {variance, epsilon})})});
}

/// By whole factors: ONNX takes other extents only together with that of the batch, which is open.
void convert_resample(OnnxGraph& onnx, const Op& op) {
  const auto& a = op.as<ResampleAttributes>();
  const Shape& x = onnx.graph().shape(op.inputs[0]);
  std::vector<float> factors{1, 1};
  for (int axis = 0; axis < a.axes; ++axis) {
    const std::int64_t from = x[1 + axis], to = a.size[static_cast<std::size_t>(axis)];
    if (to % from != 0) refuse(op, fmt::format("ONNX with an open batch enlarges by whole factors only, not {} to {}", from, to));
    factors.push_back(static_cast<float>(to / from));
  }
  const auto rank = static_cast<std::int64_t>(factors.size());
  const std::string scales = onnx.reals(op.layer + "/scales", factors, Shape{rank});
  onnx.add(op.outputs[0], "Resize", {onnx.name_of(op.inputs[0]), "", scales},
           {{"mode", a.linear ? "linear" : "nearest"},
            {"coordinate_transformation_mode", a.linear ? "half_pixel" : "asymmetric"},
            {"nearest_mode", "floor"}});
}

void convert_batch_norm(OnnxGraph& onnx, const Op& op) {
  std::vector<std::string> inputs{onnx.name_of(op.inputs[0])};
  for (std::size_t i = 1; i < 5; ++i) inputs.push_back(outside(onnx, op.inputs[i]));
  onnx.add(op.outputs[0], "BatchNormalization", inputs, {{"epsilon", static_cast<float>(op.as<BatchNormAttributes>().epsilon)}});
}

/// [c] -> [c, 1..], so that it meets the channels of [n, c, s..].
void convert_with_channels(OnnxGraph& onnx, const Op& op, const std::string& type) {
  std::vector<std::int64_t> extents(static_cast<std::size_t>(onnx.graph().shape(op.inputs[0]).rank()) - 1, 1);
  extents[0] = onnx.graph().shape(op.inputs[1])[0];
  const std::string vector = onnx.constant(onnx.graph().info(op.inputs[1]).name, onnx.stored(op.inputs[1]).clone().reshaped(Shape(extents)));
  onnx.add(op.outputs[0], type, {onnx.name_of(op.inputs[0]), vector});
}

void convert_terms(OnnxGraph& onnx, const Op& op, const std::string& type, Attributes attributes = {}) {
  std::vector<std::string> inputs;
  for (Value input : op.inputs) inputs.push_back(onnx.name_of(input));
  onnx.add(op.outputs[0], type, inputs, std::move(attributes));
}

void convert_slice(OnnxGraph& onnx, const Op& op) {
  const auto& a = op.as<ChannelsAttributes>();
  onnx.add(op.outputs[0], "Slice", {onnx.name_of(op.inputs[0]), onnx.integers(op.layer + "/begin", {a.begin}),
                                    onnx.integers(op.layer + "/end", {a.begin + a.count}), onnx.integers(op.layer + "/axis", {1})});
}

void convert_pad_channels(OnnxGraph& onnx, const Op& op) {
  const auto& a = op.as<ChannelsAttributes>();
  const Shape& x = onnx.graph().shape(op.inputs[0]);
  const auto rank = static_cast<std::size_t>(x.rank());
  Numbers pads(2 * rank, 0);
  pads[1] = a.begin;
  pads[rank + 1] = a.count - a.begin - x[-1];
  onnx.add(op.outputs[0], "Pad", {onnx.name_of(op.inputs[0]), onnx.integers(op.layer + "/pads", pads)});
}

/// Only flattening: a dense layer behind it has its columns in the order of [c, s..].
void convert_reshape(OnnxGraph& onnx, const Op& op) {
  const Shape &x = onnx.graph().shape(op.inputs[0]), &y = onnx.graph().shape(op.outputs[0]);
  if (y.rank() != 2 || x[0] != y[0]) refuse(op, fmt::format("a reshape of {} to {} has no form in ONNX's layout", x.str(), y.str()));
  if (x.elements(1, x.rank() - 1) > 1)
    for (const Op& reader : onnx.graph().ops())
      for (Value input : reader.inputs)
        if (input == op.outputs[0] && (reader.kind != OpKind::dense || onnx.graph().dense_inputs.at(reader.layer).rank() == 1))
          refuse(op, "a flattened map that no dense layer reads has no form in ONNX's layout");
  onnx.add(op.outputs[0], "Flatten", {onnx.name_of(op.inputs[0])}, {{"axis", std::int64_t{1}}});
}

}  // namespace

void convert_op(OnnxGraph& onnx, const Op& op) {
  switch (op.kind) {
    case OpKind::prepare: return convert_prepare(onnx, op);
    case OpKind::conv: return convert_conv(onnx, op);
    case OpKind::scatter_connections: return onnx.set_name(op.outputs[0], scattered(onnx, op));
    case OpKind::dense: return convert_dense(onnx, op);
    case OpKind::pool: return convert_pool(onnx, op);
    case OpKind::activation: return convert_activation(onnx, op);
    case OpKind::batch_norm_inference: return convert_batch_norm(onnx, op);
    case OpKind::local_response: return convert_local_response(onnx, op);
    case OpKind::layer_norm: return convert_layer_norm(onnx, op);
    case OpKind::resample: return convert_resample(onnx, op);
    case OpKind::add: return convert_terms(onnx, op, "Sum");
    case OpKind::multiply: return convert_terms(onnx, op, "Mul");
    case OpKind::concat: return convert_terms(onnx, op, "Concat", {{"axis", std::int64_t{1}}});
    case OpKind::add_channels: return convert_with_channels(onnx, op, "Add");
    case OpKind::multiply_channels: return convert_with_channels(onnx, op, "Mul");
    case OpKind::slice: return convert_slice(onnx, op);
    case OpKind::pad_channels: return convert_pad_channels(onnx, op);
    case OpKind::reshape: return convert_reshape(onnx, op);
    default: refuse(op, fmt::format("ONNX export knows no op \"{}\"", op_def(op.kind).name));
  }
}

}  // namespace convoy
