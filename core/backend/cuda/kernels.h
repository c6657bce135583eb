#pragma once
// The binding functions of all kernels, for the table in cuda_backend.cpp. Each takes one kind (or a few) of op.
//
// Types: operands for which takes_narrow() (core/ops/op.h) holds are f32, bf16 or f16, all of one type; every other real
// operand is f32. Arithmetic is f32 throughout; each result is rounded once.
#include "core/backend/cuda/kernel.h"

namespace convoy::cuda {

using Bound = std::unique_ptr<Kernel>;

// NVIDIA's libraries (conv_cudnn.cpp, dense_cublas.cpp); absent under the emulator.
Bound bind_conv_cudnn(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_dense_cublas(const Context& context, const OpDesc& op, std::string* reason);

// conv_direct.cu, dense_direct.cu: any attributes, no speed
Bound bind_conv_direct(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_dense_direct(const Context& context, const OpDesc& op, std::string* reason);
// elementwise.cu
Bound bind_activation(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_activation_backward(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_add(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_multiply(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_cast(const Context& context, const OpDesc& op, std::string* reason);
// chain.cu
Bound bind_chain(const Context& context, const OpDesc& op, std::string* reason);
// channel_operands.cu: add_, multiply_channels; sum_, dot_to_channels
Bound bind_channel_operand(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_channel_sum(const Context& context, const OpDesc& op, std::string* reason);
// batch_norm.cu, batch_norm_backward.cu
Bound bind_batch_norm(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_batch_norm_inference(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_batch_norm_backward(const Context& context, const OpDesc& op, std::string* reason);
// pool.cu, pool_backward.cu
Bound bind_pool(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_pool_backward(const Context& context, const OpDesc& op, std::string* reason);
// rows.cu: local response normalisation, layer normalisation
Bound bind_local_response(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_local_response_backward(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_layer_norm(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_layer_norm_backward(const Context& context, const OpDesc& op, std::string* reason);
// resample.cu
Bound bind_resample(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_resample_backward(const Context& context, const OpDesc& op, std::string* reason);
// paths.cu
Bound bind_path_weights(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_scale_samples(const Context& context, const OpDesc& op, std::string* reason);
// dropout.cu
Bound bind_dropout(const Context& context, const OpDesc& op, std::string* reason);
// channels.cu: concat, slice, pad_channels; scatter_, gather_connections
Bound bind_concat(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_slice(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_pad_channels(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_connections(const Context& context, const OpDesc& op, std::string* reason);
// loss.cu
Bound bind_softmax(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_softmax_backward(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_element_loss(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_element_loss_backward(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_top_k(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_sum_weights(const Context& context, const OpDesc& op, std::string* reason);
// prepare.cu
Bound bind_prepare(const Context& context, const OpDesc& op, std::string* reason);
// guard.cu
Bound bind_guard(const Context& context, const OpDesc& op, std::string* reason);
// norms.cu
Bound bind_squared_norms(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_clip_norm(const Context& context, const OpDesc& op, std::string* reason);
// update.cu; neighbours as one kernel: null where their rules differ
Bound bind_weight_update(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_weight_updates_together(const Context& context, std::span<const OpDesc> ops);
// running.cu: running_update, average_update; neighbours of one kind as one kernel
Bound bind_blend(const Context& context, const OpDesc& op, std::string* reason);
Bound bind_blends_together(const Context& context, std::span<const OpDesc> ops);

}  // namespace convoy::cuda
