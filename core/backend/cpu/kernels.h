#pragma once
// The binding functions of all kernels, for the table in cpu_backend.cpp. Each takes one kind (or a few) of op.
#include "core/backend/cpu/kernel.h"

namespace convoy::cpu {

using Bound = std::unique_ptr<Kernel>;

Bound bind_conv_onednn(const OpDesc& op, int threads, std::string* reason);
Bound bind_conv_onednn_bf16(const OpDesc& op, int threads, std::string* reason);
Bound bind_conv_winograd(const OpDesc& op, int threads, std::string* reason);
Bound bind_conv_winograd_bf16(const OpDesc& op, int threads, std::string* reason);
Bound bind_conv_dense(const OpDesc& op, int threads, std::string* reason);
Bound bind_conv_small(const OpDesc& op, int threads, std::string* reason);
Bound bind_conv_loop(const OpDesc& op, int threads, std::string* reason);
Bound bind_dense_onednn(const OpDesc& op, int threads, std::string* reason);
Bound bind_dense_onednn_bf16(const OpDesc& op, int threads, std::string* reason);
Bound bind_dense_rows(const OpDesc& op, int threads, std::string* reason);  // forward, few samples
Bound bind_dense_loop(const OpDesc& op, int threads, std::string* reason);
Bound bind_prepare(const OpDesc& op, int threads, std::string* reason);
Bound bind_pool(const OpDesc& op, int threads, std::string* reason);
Bound bind_pool_backward(const OpDesc& op, int threads, std::string* reason);
Bound bind_activation(const OpDesc& op, int threads, std::string* reason);
Bound bind_activation_backward(const OpDesc& op, int threads, std::string* reason);
Bound bind_batch_norm(const OpDesc& op, int threads, std::string* reason);
Bound bind_batch_norm_inference(const OpDesc& op, int threads, std::string* reason);
Bound bind_batch_norm_backward(const OpDesc& op, int threads, std::string* reason);
Bound bind_batch_norm_moments(const OpDesc& op, int threads, std::string* reason);
Bound bind_batch_norm_global(const OpDesc& op, int threads, std::string* reason);
Bound bind_batch_norm_global_sums(const OpDesc& op, int threads, std::string* reason);
Bound bind_batch_norm_global_backward(const OpDesc& op, int threads, std::string* reason);
Bound bind_local_response(const OpDesc& op, int threads, std::string* reason);
Bound bind_local_response_backward(const OpDesc& op, int threads, std::string* reason);
Bound bind_layer_norm(const OpDesc& op, int threads, std::string* reason);
Bound bind_layer_norm_backward(const OpDesc& op, int threads, std::string* reason);
Bound bind_resample(const OpDesc& op, int threads, std::string* reason);  // and its gradient
Bound bind_path_weights(const OpDesc& op, int threads, std::string* reason);
Bound bind_scale_samples(const OpDesc& op, int threads, std::string* reason);
Bound bind_dropout(const OpDesc& op, int threads, std::string* reason);
Bound bind_add(const OpDesc& op, int threads, std::string* reason);
Bound bind_multiply(const OpDesc& op, int threads, std::string* reason);
Bound bind_channel_operand(const OpDesc& op, int threads, std::string* reason);  // add_, multiply_channels
Bound bind_channel_sum(const OpDesc& op, int threads, std::string* reason);      // sum_, dot_to_channels
Bound bind_concat(const OpDesc& op, int threads, std::string* reason);
Bound bind_slice(const OpDesc& op, int threads, std::string* reason);
Bound bind_pad_channels(const OpDesc& op, int threads, std::string* reason);
Bound bind_softmax(const OpDesc& op, int threads, std::string* reason);
Bound bind_softmax_backward(const OpDesc& op, int threads, std::string* reason);
Bound bind_element_loss(const OpDesc& op, int threads, std::string* reason);  // mean_squared, binary
Bound bind_element_loss_backward(const OpDesc& op, int threads, std::string* reason);
Bound bind_top_k(const OpDesc& op, int threads, std::string* reason);
Bound bind_sum_weights(const OpDesc& op, int threads, std::string* reason);
Bound bind_connections(const OpDesc& op, int threads, std::string* reason);  // scatter, gather
Bound bind_cast(const OpDesc& op, int threads, std::string* reason);
Bound bind_chain(const OpDesc& op, int threads, std::string* reason);
Bound bind_guard(const OpDesc& op, int threads, std::string* reason);
Bound bind_squared_norms(const OpDesc& op, int threads, std::string* reason);
Bound bind_clip_norm(const OpDesc& op, int threads, std::string* reason);
Bound bind_weight_update(const OpDesc& op, int threads, std::string* reason);
Bound bind_running(const OpDesc& op, int threads, std::string* reason);
Bound bind_average(const OpDesc& op, int threads, std::string* reason);

}  // namespace convoy::cpu
