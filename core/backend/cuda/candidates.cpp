// The cuda backend: which candidates stand for which kind of op.
#include "core/backend/cuda/cuda_backend.h"
#include "core/backend/cuda/kernels.h"

namespace convoy::cuda {

std::vector<Candidate> candidates(OpKind kind) {
  switch (kind) {
    case OpKind::prepare:
      return {{"own", bind_prepare}};
    case OpKind::conv:
    case OpKind::conv_backward_data:
    case OpKind::conv_backward_filters:
      return {{"cudnn", bind_conv_cudnn}, {"direct", bind_conv_direct}};
    case OpKind::dense:
    case OpKind::dense_backward_data:
    case OpKind::dense_backward_weights:
      return {{"cublas", bind_dense_cublas}, {"direct", bind_dense_direct}};
    case OpKind::pool:
      return {{"own", bind_pool}};
    case OpKind::pool_backward:
      return {{"own", bind_pool_backward}};
    case OpKind::activation:
      return {{"own", bind_activation}};
    case OpKind::activation_backward:
      return {{"own", bind_activation_backward}};
    case OpKind::batch_norm:
      return {{"own", bind_batch_norm}};
    case OpKind::batch_norm_inference:
      return {{"own", bind_batch_norm_inference}};
    case OpKind::batch_norm_backward:
      return {{"own", bind_batch_norm_backward}};
    case OpKind::local_response:
      return {{"own", bind_local_response}};
    case OpKind::local_response_backward:
      return {{"own", bind_local_response_backward}};
    case OpKind::layer_norm:
      return {{"own", bind_layer_norm}};
    case OpKind::layer_norm_backward:
      return {{"own", bind_layer_norm_backward}};
    case OpKind::resample:
      return {{"own", bind_resample}};
    case OpKind::resample_backward:
      return {{"own", bind_resample_backward}};
    case OpKind::path_weights:
      return {{"own", bind_path_weights}};
    case OpKind::scale_samples:
      return {{"own", bind_scale_samples}};
    case OpKind::dropout:
      return {{"own", bind_dropout}};
    case OpKind::add:
      return {{"own", bind_add}};
    case OpKind::multiply:
      return {{"own", bind_multiply}};
    case OpKind::add_channels:
    case OpKind::multiply_channels:
      return {{"own", bind_channel_operand}};
    case OpKind::sum_to_channels:
    case OpKind::dot_to_channels:
      return {{"own", bind_channel_sum}};
    case OpKind::concat:
      return {{"own", bind_concat}};
    case OpKind::slice:
      return {{"own", bind_slice}};
    case OpKind::pad_channels:
      return {{"own", bind_pad_channels}};
    case OpKind::softmax_cross_entropy:
      return {{"own", bind_softmax}};
    case OpKind::softmax_cross_entropy_backward:
      return {{"own", bind_softmax_backward}};
    case OpKind::mean_squared:
    case OpKind::binary_cross_entropy:
      return {{"own", bind_element_loss}};
    case OpKind::mean_squared_backward:
    case OpKind::binary_cross_entropy_backward:
      return {{"own", bind_element_loss_backward}};
    case OpKind::top_k:
      return {{"own", bind_top_k}};
    case OpKind::sum_weights:
      return {{"own", bind_sum_weights}};
    case OpKind::scatter_connections:
    case OpKind::gather_connections:
      return {{"own", bind_connections}};
    case OpKind::cast:
      return {{"own", bind_cast}};
    case OpKind::elementwise_chain:
      return {{"own", bind_chain}};
    case OpKind::step_guard:
      return {{"own", bind_guard}};
    case OpKind::weight_update:
      return {{"own", bind_weight_update}};
    case OpKind::running_update:
    case OpKind::average_update:
      return {{"own", bind_blend}};
    case OpKind::squared_norms:
      return {{"own", bind_squared_norms}};
    case OpKind::clip_norm:
      return {{"own", bind_clip_norm}};
    case OpKind::batch_norm_moments:  // devices do not sum over the batch within a step: its engine says so
    case OpKind::batch_norm_global:
    case OpKind::batch_norm_global_sums:
    case OpKind::batch_norm_global_backward:
    case OpKind::batch_sum:
    case OpKind::reshape:
    case OpKind::external:
    case OpKind::count_:
      break;
  }
  return {};
}

}  // namespace convoy::cuda
