#include "core/ops/op.h"

#include <array>

#include "core/ops/families.h"
#include "core/ops/update_operands.h"

namespace convoy {
namespace {
using namespace ops;

constexpr std::size_t kKinds = static_cast<std::size_t>(OpKind::count_);

// kind, name, infer, multiply-adds (null: none), gradient rule (null: nothing flows back)
constexpr std::array<OpDef, kKinds> kTable{{
    {OpKind::prepare, "prepare", infer_prepare, nullptr, nullptr},
    {OpKind::conv, "conv", infer_conv, multiply_adds_conv, gradient_conv},
    {OpKind::conv_backward_data, "conv_backward_data", infer_conv_backward_data,
     multiply_adds_conv_backward_data, gradient_refused},
    {OpKind::conv_backward_filters, "conv_backward_filters", infer_conv_backward_filters,
     multiply_adds_conv_backward_filters, gradient_refused},
    {OpKind::dense, "dense", infer_dense, multiply_adds_dense, gradient_dense},
    {OpKind::dense_backward_data, "dense_backward_data", infer_dense_backward_data, multiply_adds_dense,
     gradient_refused},
    {OpKind::dense_backward_weights, "dense_backward_weights", infer_dense_backward_weights,
     multiply_adds_dense_backward_weights, gradient_refused},
    {OpKind::pool, "pool", infer_pool, nullptr, gradient_pool},
    {OpKind::pool_backward, "pool_backward", infer_pool_backward, nullptr, gradient_refused},
    {OpKind::activation, "activation", infer_activation, nullptr, gradient_activation},
    {OpKind::activation_backward, "activation_backward", infer_activation_backward, nullptr, gradient_refused},
    {OpKind::batch_norm, "batch_norm", infer_batch_norm, nullptr, gradient_batch_norm},
    {OpKind::batch_norm_inference, "batch_norm_inference", infer_batch_norm_inference, nullptr,
     gradient_batch_norm_inference},
    {OpKind::batch_norm_backward, "batch_norm_backward", infer_batch_norm_backward, nullptr, gradient_refused},
    {OpKind::batch_norm_moments, "batch_norm_moments", infer_batch_norm_moments, nullptr, nullptr},
    {OpKind::batch_norm_global, "batch_norm_global", infer_batch_norm_global, nullptr, gradient_batch_norm_global},
    {OpKind::batch_norm_global_sums, "batch_norm_global_sums", infer_batch_norm_global_sums, nullptr, gradient_refused},
    {OpKind::batch_norm_global_backward, "batch_norm_global_backward", infer_batch_norm_global_backward, nullptr,
     gradient_refused},
    {OpKind::batch_sum, "batch_sum", infer_batch_sum, nullptr, nullptr},
    {OpKind::local_response, "local_response", infer_local_response, nullptr, gradient_local_response},
    {OpKind::local_response_backward, "local_response_backward", infer_local_response_backward, nullptr, gradient_refused},
    {OpKind::layer_norm, "layer_norm", infer_layer_norm, nullptr, gradient_layer_norm},
    {OpKind::layer_norm_backward, "layer_norm_backward", infer_layer_norm_backward, nullptr, gradient_refused},
    {OpKind::resample, "resample", infer_resample, nullptr, gradient_resample},
    {OpKind::resample_backward, "resample_backward", infer_resample_backward, nullptr, gradient_refused},
    {OpKind::dropout, "dropout", infer_dropout, nullptr, gradient_dropout},
    {OpKind::path_weights, "path_weights", infer_path_weights, nullptr, nullptr},
    {OpKind::scale_samples, "scale_samples", infer_scale_samples, nullptr, gradient_scale_samples},
    {OpKind::add, "add", infer_add, nullptr, gradient_add},
    {OpKind::multiply, "multiply", infer_multiply, nullptr, gradient_multiply},
    {OpKind::add_channels, "add_channels", infer_add_channels, nullptr, gradient_add_channels},
    {OpKind::multiply_channels, "multiply_channels", infer_multiply_channels, nullptr,
     gradient_multiply_channels},
    {OpKind::sum_to_channels, "sum_to_channels", infer_sum_to_channels, nullptr, gradient_refused},
    {OpKind::dot_to_channels, "dot_to_channels", infer_dot_to_channels, nullptr, gradient_refused},
    {OpKind::concat, "concat", infer_concat, nullptr, gradient_concat},
    {OpKind::slice, "slice", infer_slice, nullptr, gradient_slice},
    {OpKind::pad_channels, "pad_channels", infer_pad_channels, nullptr, gradient_pad_channels},
    {OpKind::reshape, "reshape", infer_reshape, nullptr, gradient_reshape},
    {OpKind::softmax_cross_entropy, "softmax_cross_entropy", infer_softmax_cross_entropy, nullptr,
     gradient_softmax_cross_entropy},
    {OpKind::softmax_cross_entropy_backward, "softmax_cross_entropy_backward",
     infer_softmax_cross_entropy_backward, nullptr, gradient_refused},
    {OpKind::mean_squared, "mean_squared", infer_mean_squared, nullptr, gradient_mean_squared},
    {OpKind::mean_squared_backward, "mean_squared_backward", infer_mean_squared_backward, nullptr,
     gradient_refused},
    {OpKind::binary_cross_entropy, "binary_cross_entropy", infer_binary_cross_entropy, nullptr,
     gradient_binary_cross_entropy},
    {OpKind::binary_cross_entropy_backward, "binary_cross_entropy_backward",
     infer_binary_cross_entropy_backward, nullptr, gradient_refused},
    {OpKind::top_k, "top_k", infer_top_k, nullptr, nullptr},
    {OpKind::sum_weights, "sum_weights", infer_sum_weights, nullptr, nullptr},
    {OpKind::scatter_connections, "scatter_connections", infer_scatter_connections, nullptr,
     gradient_scatter_connections},
    {OpKind::gather_connections, "gather_connections", infer_gather_connections, nullptr,
     gradient_gather_connections},
    {OpKind::cast, "cast", infer_cast, nullptr, gradient_cast},
    {OpKind::elementwise_chain, "elementwise_chain", infer_elementwise_chain, nullptr, gradient_refused},
    {OpKind::external, "external", infer_external, nullptr, nullptr},
    {OpKind::step_guard, "step_guard", infer_step_guard, nullptr, nullptr},
    {OpKind::squared_norms, "squared_norms", infer_squared_norms, nullptr, nullptr},
    {OpKind::clip_norm, "clip_norm", infer_clip_norm, nullptr, nullptr},
    {OpKind::weight_update, "weight_update", infer_weight_update, nullptr, nullptr},
    {OpKind::running_update, "running_update", infer_running_update, nullptr, nullptr},
    {OpKind::average_update, "average_update", infer_average_update, nullptr, nullptr},
}};

constexpr bool in_order_of_kinds() {
  for (std::size_t i = 0; i < kKinds; ++i)
    if (static_cast<std::size_t>(kTable[i].kind) != i) return false;
  return true;
}
static_assert(in_order_of_kinds(), "kTable must list every OpKind in its order");

double bytes_of(const TensorDesc& desc) {
  return static_cast<double>(desc.shape.elements()) * static_cast<double>(size_of(desc.dtype));
}
}  // namespace

bool takes_narrow(OpKind kind, int input) {
  switch (kind) {
    case OpKind::conv:                    // x, filters
    case OpKind::conv_backward_data:      // dy, filters
    case OpKind::conv_backward_filters:   // x, dy
    case OpKind::dense:                   // x, weights
    case OpKind::dense_backward_data:     // dy, weights
    case OpKind::dense_backward_weights:  // x, dy
    case OpKind::activation_backward:     // y, dy
    case OpKind::local_response_backward: // x, dy
    case OpKind::multiply:
    case OpKind::dot_to_channels:         // x, y
      return input <= 1;
    case OpKind::pool:
    case OpKind::pool_backward:           // dy
    case OpKind::activation:
    case OpKind::batch_norm_moments:      // x
    case OpKind::batch_norm_global:       // x
    case OpKind::layer_norm:
    case OpKind::resample:
    case OpKind::resample_backward:
    case OpKind::local_response:
    case OpKind::scale_samples:           // x
    case OpKind::dropout:                 // x
    case OpKind::add_channels:            // x
    case OpKind::multiply_channels:       // x
    case OpKind::sum_to_channels:         // x
    case OpKind::slice:
    case OpKind::pad_channels:
    case OpKind::reshape:
      return input == 0;
    case OpKind::layer_norm_backward:     // y, dy
      return input != 1;
    case OpKind::batch_norm:              // x, residual
      return input == 0 || input == 3;
    case OpKind::batch_norm_inference:    // x, residual
      return input == 0 || input == 5;
    case OpKind::batch_norm_backward:     // x, dy, y
      return input == 0 || input >= 4;
    case OpKind::batch_norm_global_sums:  // x, dy
      return input == 0 || input == 3;
    case OpKind::batch_norm_global_backward:  // x, dy
      return input == 0 || input == 5;
    case OpKind::add:
    case OpKind::concat:
      return true;
    default:
      return false;
  }
}

bool always_double(OpKind kind, const Attributes& attributes, int input) {
  switch (kind) {
    case OpKind::step_guard: return input == 1;
    case OpKind::clip_norm: return true;
    case OpKind::running_update:
    case OpKind::average_update: return input == 2;
    case OpKind::weight_update: {
      const auto& a = std::get<UpdateAttributes>(attributes);
      const UpdateOperands at = operands_of(a);
      return input == at.scalars || (takes_norms(a) && input == at.norms);
    }
    default: return false;
  }
}

bool has_doubles(OpKind kind) {
  switch (kind) {
    case OpKind::step_guard:
    case OpKind::squared_norms:
    case OpKind::clip_norm:
    case OpKind::weight_update:
    case OpKind::running_update:
    case OpKind::average_update: return true;
    default: return false;
  }
}

const OpDef& op_def(OpKind kind) { return kTable.at(static_cast<std::size_t>(kind)); }

Cost cost_of(OpKind kind, const Attributes& attributes, std::span<const TensorDesc> inputs,
             std::span<const TensorDesc> outputs) {
  Cost cost;
  if (kind == OpKind::reshape || kind == OpKind::external) return cost;  // a view; a callback with its own cost
  for (const TensorDesc& input : inputs) cost.bytes += bytes_of(input);
  for (const TensorDesc& output : outputs) cost.bytes += bytes_of(output);
  // Updates write the memory of their inputs: scalars, w and its slots, the running statistic, the average.
  if (kind == OpKind::step_guard || kind == OpKind::clip_norm) cost.bytes += bytes_of(inputs[1]);
  if (kind == OpKind::weight_update)
    for (int i = 0; i < operands_of(std::get<UpdateAttributes>(attributes)).gradient; ++i)
      cost.bytes += bytes_of(inputs[static_cast<std::size_t>(i)]);
  if (kind == OpKind::running_update || kind == OpKind::average_update) cost.bytes += bytes_of(inputs[0]);
  if (const auto count = op_def(kind).multiply_adds) cost.multiply_adds = count(attributes, inputs, outputs);
  return cost;
}

GradientContext::GradientContext(Graph& graph, const Op& op, std::vector<Value> output_gradients,
                                 std::vector<bool> needed, std::vector<Value>& input_gradients)
    : graph_(graph),
      op_(std::make_shared<const Op>(op)),
      output_gradients_(std::move(output_gradients)),
      needed_(std::move(needed)),
      input_gradients_(input_gradients) {
  input_gradients_.resize(op_->inputs.size());
}

Value GradientContext::input(int i) const { return op_->inputs.at(static_cast<std::size_t>(i)); }
Value GradientContext::output(int i) const { return op_->outputs.at(static_cast<std::size_t>(i)); }
Value GradientContext::dy(int i) const { return output_gradients_.at(static_cast<std::size_t>(i)); }
void GradientContext::set(int i, Value gradient) {
  input_gradients_.at(static_cast<std::size_t>(i)) = gradient;
}

Value ops::dy_of(const GradientContext& g) {
  require(g.dy().exists(), op_def(g.op().kind).name,
          "cannot be where differentiation begins; end the model with softmax_cross_entropy, mean_squared or "
          "binary_cross_entropy");
  return g.dy();
}

void ops::gradient_refused(GradientContext& g) {
  throw UsageError(fmt::format("{}: has no gradient; a graph is differentiated once, from its training form",
                               op_def(g.op().kind).name));
}

}  // namespace convoy
