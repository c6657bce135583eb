#pragma once
// The loops that the table in reference.cpp gathers. Reals are double; shapes are those that core/ops inferred.
// An output that nobody wants is null.
#include "core/backend/backend.h"

namespace convoy::reference {

using Run = void (*)(const OpDesc&, const KernelArguments&);

template <typename T = double>
const T* in(const KernelArguments& arguments, std::size_t i) {
  return static_cast<const T*>(arguments.inputs[i]);
}
template <typename T = double>
T* out(const KernelArguments& arguments, std::size_t i) {
  return static_cast<T*>(arguments.outputs[i]);
}
template <typename A>
const A& attributes(const OpDesc& op) {
  return std::get<A>(op.attributes);
}
/// Elements of an input for each step of its last axis: x [.., c] seen as [positions, c].
inline std::int64_t positions(const Shape& shape) { return shape.elements(0, shape.rank() - 1); }

void prepare(const OpDesc&, const KernelArguments&);
void conv(const OpDesc&, const KernelArguments&);
void conv_backward_data(const OpDesc&, const KernelArguments&);
void conv_backward_filters(const OpDesc&, const KernelArguments&);
void dense(const OpDesc&, const KernelArguments&);
void dense_backward_data(const OpDesc&, const KernelArguments&);
void dense_backward_weights(const OpDesc&, const KernelArguments&);
void pool(const OpDesc&, const KernelArguments&);
void pool_backward(const OpDesc&, const KernelArguments&);
void activation(const OpDesc&, const KernelArguments&);
void activation_backward(const OpDesc&, const KernelArguments&);
void batch_norm(const OpDesc&, const KernelArguments&);
void batch_norm_inference(const OpDesc&, const KernelArguments&);
void batch_norm_backward(const OpDesc&, const KernelArguments&);
void batch_norm_moments(const OpDesc&, const KernelArguments&);
void batch_norm_global(const OpDesc&, const KernelArguments&);
void batch_norm_global_sums(const OpDesc&, const KernelArguments&);
void batch_norm_global_backward(const OpDesc&, const KernelArguments&);
void local_response(const OpDesc&, const KernelArguments&);
void local_response_backward(const OpDesc&, const KernelArguments&);
void layer_norm(const OpDesc&, const KernelArguments&);
void layer_norm_backward(const OpDesc&, const KernelArguments&);
void resample(const OpDesc&, const KernelArguments&);
void resample_backward(const OpDesc&, const KernelArguments&);
void path_weights(const OpDesc&, const KernelArguments&);
void scale_samples(const OpDesc&, const KernelArguments&);
void dropout(const OpDesc&, const KernelArguments&);
void add(const OpDesc&, const KernelArguments&);
void multiply(const OpDesc&, const KernelArguments&);
void add_channels(const OpDesc&, const KernelArguments&);
void multiply_channels(const OpDesc&, const KernelArguments&);
void sum_to_channels(const OpDesc&, const KernelArguments&);
void dot_to_channels(const OpDesc&, const KernelArguments&);
void sum_weights(const OpDesc&, const KernelArguments&);
void concat(const OpDesc&, const KernelArguments&);
void slice(const OpDesc&, const KernelArguments&);
void pad_channels(const OpDesc&, const KernelArguments&);
void softmax_cross_entropy(const OpDesc&, const KernelArguments&);
void softmax_cross_entropy_backward(const OpDesc&, const KernelArguments&);
void mean_squared(const OpDesc&, const KernelArguments&);
void mean_squared_backward(const OpDesc&, const KernelArguments&);
void binary_cross_entropy(const OpDesc&, const KernelArguments&);
void binary_cross_entropy_backward(const OpDesc&, const KernelArguments&);
void top_k(const OpDesc&, const KernelArguments&);
void scatter_connections(const OpDesc&, const KernelArguments&);
void gather_connections(const OpDesc&, const KernelArguments&);
void cast(const OpDesc&, const KernelArguments&);
void elementwise_chain(const OpDesc&, const KernelArguments&);
void step_guard(const OpDesc&, const KernelArguments&);
void squared_norms(const OpDesc&, const KernelArguments&);
void clip_norm(const OpDesc&, const KernelArguments&);
void weight_update(const OpDesc&, const KernelArguments&);
void average_update(const OpDesc&, const KernelArguments&);
void running_update(const OpDesc&, const KernelArguments&);

/// f(x) of an activation.
double activate(ActivationKind kind, double x, double slope = 0);
/// f'(x) as a function of y = f(x).
double derivative(ActivationKind kind, double slope, double y);

}  // namespace convoy::reference
