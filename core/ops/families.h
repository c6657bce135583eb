#pragma once
// The functions that the table in op.cpp gathers: for each op its infer, and where they exist multiply-adds and
// gradient rule. Private to ops/; each family's file says what its functions do.
#include "core/graph/graph.h"
#include "core/ops/check.h"
#include "core/ops/op.h"

namespace convoy::ops {

/// The gradient of output 0. Throws if there is none: only a loss op, which ignores its dy, can be the root.
Value dy_of(const GradientContext& g);

/// Appends one backward op and returns its only output.
inline Value emit(GradientContext& g, OpKind kind, Attributes attributes, std::vector<Value> inputs) {
  return g.graph().add(kind, std::move(attributes), std::move(inputs), Role::gradient);
}

/// The rule of ops that exist only after differentiation, or only for inference: says so and throws.
void gradient_refused(GradientContext& g);

// prepare.cpp
Outputs infer_prepare(const Attributes&, Inputs);

// conv.cpp
Outputs infer_conv(const Attributes&, Inputs);
Outputs infer_conv_backward_data(const Attributes&, Inputs);
Outputs infer_conv_backward_filters(const Attributes&, Inputs);
double multiply_adds_conv(const Attributes&, Inputs, std::span<const TensorDesc>);
double multiply_adds_conv_backward_data(const Attributes&, Inputs, std::span<const TensorDesc>);
double multiply_adds_conv_backward_filters(const Attributes&, Inputs, std::span<const TensorDesc>);
void gradient_conv(GradientContext&);

// dense.cpp
Outputs infer_dense(const Attributes&, Inputs);
Outputs infer_dense_backward_data(const Attributes&, Inputs);
Outputs infer_dense_backward_weights(const Attributes&, Inputs);
double multiply_adds_dense(const Attributes&, Inputs, std::span<const TensorDesc>);
double multiply_adds_dense_backward_weights(const Attributes&, Inputs, std::span<const TensorDesc>);
void gradient_dense(GradientContext&);

// pool.cpp
Outputs infer_pool(const Attributes&, Inputs);
Outputs infer_pool_backward(const Attributes&, Inputs);
void gradient_pool(GradientContext&);

// activation.cpp
Outputs infer_activation(const Attributes&, Inputs);
Outputs infer_activation_backward(const Attributes&, Inputs);
void gradient_activation(GradientContext&);

// batch_norm.cpp
Outputs infer_batch_norm(const Attributes&, Inputs);
Outputs infer_batch_norm_inference(const Attributes&, Inputs);
Outputs infer_batch_norm_backward(const Attributes&, Inputs);
void gradient_batch_norm(GradientContext&);
void gradient_batch_norm_inference(GradientContext&);

// global_batch_norm.cpp
Outputs infer_batch_norm_moments(const Attributes&, Inputs);
Outputs infer_batch_norm_global(const Attributes&, Inputs);
Outputs infer_batch_norm_global_sums(const Attributes&, Inputs);
Outputs infer_batch_norm_global_backward(const Attributes&, Inputs);
Outputs infer_batch_sum(const Attributes&, Inputs);
void gradient_batch_norm_global(GradientContext&);

// local_response.cpp
Outputs infer_local_response(const Attributes&, Inputs);
Outputs infer_local_response_backward(const Attributes&, Inputs);
void gradient_local_response(GradientContext&);

// layer_norm.cpp
Outputs infer_layer_norm(const Attributes&, Inputs);
Outputs infer_layer_norm_backward(const Attributes&, Inputs);
void gradient_layer_norm(GradientContext&);

// resample.cpp
Outputs infer_resample(const Attributes&, Inputs);
Outputs infer_resample_backward(const Attributes&, Inputs);
void gradient_resample(GradientContext&);

// paths.cpp
Outputs infer_path_weights(const Attributes&, Inputs);
Outputs infer_scale_samples(const Attributes&, Inputs);
void gradient_scale_samples(GradientContext&);

// dropout.cpp
Outputs infer_dropout(const Attributes&, Inputs);
void gradient_dropout(GradientContext&);

// elementwise.cpp
Outputs infer_add(const Attributes&, Inputs);
Outputs infer_multiply(const Attributes&, Inputs);
Outputs infer_add_channels(const Attributes&, Inputs);
Outputs infer_multiply_channels(const Attributes&, Inputs);
Outputs infer_sum_to_channels(const Attributes&, Inputs);
Outputs infer_dot_to_channels(const Attributes&, Inputs);
Outputs infer_sum_weights(const Attributes&, Inputs);
Outputs infer_cast(const Attributes&, Inputs);
void gradient_add(GradientContext&);
void gradient_cast(GradientContext&);
void gradient_multiply(GradientContext&);
void gradient_add_channels(GradientContext&);
void gradient_multiply_channels(GradientContext&);

// channels.cpp
Outputs infer_concat(const Attributes&, Inputs);
Outputs infer_slice(const Attributes&, Inputs);
Outputs infer_pad_channels(const Attributes&, Inputs);
Outputs infer_reshape(const Attributes&, Inputs);
void gradient_concat(GradientContext&);
void gradient_slice(GradientContext&);
void gradient_pad_channels(GradientContext&);
void gradient_reshape(GradientContext&);

// loss.cpp
Outputs infer_softmax_cross_entropy(const Attributes&, Inputs);
Outputs infer_softmax_cross_entropy_backward(const Attributes&, Inputs);
Outputs infer_mean_squared(const Attributes&, Inputs);
Outputs infer_mean_squared_backward(const Attributes&, Inputs);
Outputs infer_binary_cross_entropy(const Attributes&, Inputs);
Outputs infer_binary_cross_entropy_backward(const Attributes&, Inputs);
Outputs infer_top_k(const Attributes&, Inputs);
void gradient_softmax_cross_entropy(GradientContext&);
void gradient_mean_squared(GradientContext&);
void gradient_binary_cross_entropy(GradientContext&);

// connections.cpp
Outputs infer_scatter_connections(const Attributes&, Inputs);
Outputs infer_gather_connections(const Attributes&, Inputs);
void gradient_scatter_connections(GradientContext&);
void gradient_gather_connections(GradientContext&);

// update.cpp
Outputs infer_external(const Attributes&, Inputs);
Outputs infer_step_guard(const Attributes&, Inputs);
Outputs infer_squared_norms(const Attributes&, Inputs);
Outputs infer_clip_norm(const Attributes&, Inputs);
Outputs infer_weight_update(const Attributes&, Inputs);
Outputs infer_average_update(const Attributes&, Inputs);
Outputs infer_running_update(const Attributes&, Inputs);

// chain.cpp
Outputs infer_elementwise_chain(const Attributes&, Inputs);

}  // namespace convoy::ops
