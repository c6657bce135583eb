// The cpu backend: which candidates stand for which kind of op.
#include <fmt/format.h>

#include "core/backend/backend.h"
#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernels.h"
#include "core/backend/cpu/onednn.h"
#include "core/backend/cpu/widened.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

using namespace cpu;

/// Best first; the last of a kind takes everything. Empty for kinds that never reach a backend.
std::vector<Candidate> candidates(OpKind kind) {
  switch (kind) {
    case OpKind::prepare:
      return {{"vector", bind_prepare}};
    case OpKind::conv:
    case OpKind::conv_backward_data:
    case OpKind::conv_backward_filters:
      return {{"winograd", bind_conv_winograd},
              {"dense", bind_conv_dense},
              {"small", bind_conv_small},
              {"onednn", bind_conv_onednn},
              {"loop", bind_conv_loop}};
    case OpKind::dense:
      return {{"rows", bind_dense_rows}, {"onednn", bind_dense_onednn}, {"loop", bind_dense_loop}};
    case OpKind::dense_backward_data:
    case OpKind::dense_backward_weights:
      return {{"onednn", bind_dense_onednn}, {"loop", bind_dense_loop}};
    case OpKind::pool:
      return {{"vector", bind_pool}};
    case OpKind::pool_backward:
      return {{"vector", bind_pool_backward}};
    case OpKind::activation:
      return {{"vector", bind_activation}};
    case OpKind::activation_backward:
      return {{"vector", bind_activation_backward}};
    case OpKind::batch_norm:
      return {{"vector", bind_batch_norm}};
    case OpKind::batch_norm_inference:
      return {{"vector", bind_batch_norm_inference}};
    case OpKind::batch_norm_backward:
      return {{"vector", bind_batch_norm_backward}};
    case OpKind::batch_norm_moments:
      return {{"vector", bind_batch_norm_moments}};
    case OpKind::batch_norm_global:
      return {{"vector", bind_batch_norm_global}};
    case OpKind::batch_norm_global_sums:
      return {{"vector", bind_batch_norm_global_sums}};
    case OpKind::batch_norm_global_backward:
      return {{"vector", bind_batch_norm_global_backward}};
    case OpKind::local_response:
      return {{"vector", bind_local_response}};
    case OpKind::local_response_backward:
      return {{"vector", bind_local_response_backward}};
    case OpKind::layer_norm:
      return {{"vector", bind_layer_norm}};
    case OpKind::layer_norm_backward:
      return {{"vector", bind_layer_norm_backward}};
    case OpKind::resample:
    case OpKind::resample_backward:
      return {{"vector", bind_resample}};
    case OpKind::path_weights:
      return {{"loop", bind_path_weights}};
    case OpKind::scale_samples:
      return {{"vector", bind_scale_samples}};
    case OpKind::dropout:
      return {{"vector", bind_dropout}};
    case OpKind::add:
      return {{"vector", bind_add}};
    case OpKind::multiply:
      return {{"vector", bind_multiply}};
    case OpKind::add_channels:
    case OpKind::multiply_channels:
      return {{"vector", bind_channel_operand}};
    case OpKind::sum_to_channels:
    case OpKind::dot_to_channels:
      return {{"vector", bind_channel_sum}};
    case OpKind::concat:
      return {{"copy", bind_concat}};
    case OpKind::slice:
      return {{"copy", bind_slice}};
    case OpKind::pad_channels:
      return {{"copy", bind_pad_channels}};
    case OpKind::softmax_cross_entropy:
      return {{"vector", bind_softmax}};
    case OpKind::softmax_cross_entropy_backward:
      return {{"vector", bind_softmax_backward}};
    case OpKind::mean_squared:
    case OpKind::binary_cross_entropy:
      return {{"vector", bind_element_loss}};
    case OpKind::mean_squared_backward:
    case OpKind::binary_cross_entropy_backward:
      return {{"vector", bind_element_loss_backward}};
    case OpKind::top_k:
      return {{"vector", bind_top_k}};
    case OpKind::sum_weights:
      return {{"vector", bind_sum_weights}};
    case OpKind::scatter_connections:
    case OpKind::gather_connections:
      return {{"copy", bind_connections}};
    case OpKind::cast:
      return {{"loop", bind_cast}};
    case OpKind::elementwise_chain:
      return {{"vector", bind_chain}};
    case OpKind::step_guard:
      return {{"loop", bind_guard}};
    case OpKind::weight_update:
      return {{"vector", bind_weight_update}};
    case OpKind::squared_norms:
      return {{"vector", bind_squared_norms}};
    case OpKind::clip_norm:
      return {{"loop", bind_clip_norm}};
    case OpKind::average_update:
      return {{"vector", bind_average}};
    case OpKind::running_update:
      return {{"vector", bind_running}};
    case OpKind::reshape:
    case OpKind::batch_sum:
    case OpKind::external:
    case OpKind::count_:
      break;
  }
  return {};
}

/// The same for operands in bf16. Kinds that stand neither here nor in takes_narrow_itself() are computed in f32 between casts.
std::vector<Candidate> bf16_candidates(OpKind kind) {
  switch (kind) {
    case OpKind::conv:
    case OpKind::conv_backward_data:
    case OpKind::conv_backward_filters:
      return {{"winograd bf16", bind_conv_winograd_bf16}, {"onednn bf16", bind_conv_onednn_bf16}};
    case OpKind::dense:
    case OpKind::dense_backward_data:
    case OpKind::dense_backward_weights:
      return {{"onednn bf16", bind_dense_onednn_bf16}};
    default:
      return {};
  }
}

/// Kinds whose kernels read and write bf16 and f16 as they are.
bool takes_narrow_itself(OpKind kind) {
  switch (kind) {
    case OpKind::prepare:
    case OpKind::pool:
    case OpKind::pool_backward:
    case OpKind::activation:
    case OpKind::activation_backward:
    case OpKind::batch_norm:
    case OpKind::batch_norm_inference:
    case OpKind::batch_norm_backward:
    case OpKind::batch_norm_moments:
    case OpKind::batch_norm_global:
    case OpKind::batch_norm_global_sums:
    case OpKind::batch_norm_global_backward:
    case OpKind::dropout:
    case OpKind::add:
    case OpKind::multiply:
    case OpKind::add_channels:
    case OpKind::multiply_channels:
    case OpKind::sum_to_channels:
    case OpKind::dot_to_channels:
    case OpKind::concat:
    case OpKind::slice:
    case OpKind::pad_channels:
    case OpKind::cast:
    case OpKind::elementwise_chain:
    case OpKind::weight_update:
      return true;
    default:
      return false;
  }
}

/// Types that no candidate takes, in words; empty if all are fine.
std::string wrong_types(const OpDesc& op) {
  for (const auto* side : {&op.inputs, &op.outputs})
    for (const TensorDesc& operand : *side)
      if (operand.dtype == DType::f64 && !has_doubles(op.kind))
        return fmt::format("the cpu backend computes in float32 and narrower types, found an operand {} of {}",
                           operand.shape.str(), name_of(operand.dtype));
  return {};
}

class CpuBackend final : public Backend {
 public:
  std::string_view name() const override { return "cpu"; }

  std::unique_ptr<Kernel> try_bind(const OpDesc& op, int threads, std::string* reasons) const override {
    *reasons = wrong_types(op);
    if (!reasons->empty()) return nullptr;
    if (!is_narrow(op) || takes_narrow_itself(op.kind)) return try_candidates(candidates(op.kind), op, threads, reasons);
    if (op.inputs[0].dtype == DType::bf16)
      if (auto kernel = try_candidates(bf16_candidates(op.kind), op, threads, reasons)) return kernel;
    auto wide = try_candidates(candidates(op.kind), widened(op), threads, reasons);
    return wide != nullptr ? make_widened(op, std::move(wide), threads) : nullptr;
  }

  Device& device() const override { return *device_; }

  std::string advice(DType compute) const override {
    if (compute == DType::f16) return "the cpu computes fp16 in fp32 between casts: it takes less memory, and no less time";
    if (compute != DType::bf16 || onednn::multiplies_bf16()) return {};
    return fmt::format("this cpu multiplies no bf16 (no AVX512_BF16 or AMX in {}), and computes in fp32 between casts: it takes less "
                       "memory, and no less time",
                       onednn::isa());
  }

  std::vector<std::pair<std::string, std::string>> identity() const override {
    return {
        {"isa", std::string(name_of(cpu_isa()))}, {"onednn", onednn::version()}, {"onednn isa", onednn::isa()}};
  }

 private:
  std::unique_ptr<Device> device_ = make_host_device();

  static std::unique_ptr<Kernel> try_candidates(const std::vector<Candidate>& table, const OpDesc& op, int threads,
                                                std::string* reasons) {
    if (candidates(op.kind).empty()) *reasons = "ops of this kind are not a backend's business";
    for (const Candidate& candidate : table) {
      std::string reason;
      if (auto kernel = candidate.bind(op, threads, &reason)) return kernel;
      *reasons += fmt::format("{}{}: {}", reasons->empty() ? "" : "; ", candidate.name, reason);
    }
    return nullptr;
  }
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend() {
  static_cast<void>(cpu_isa());  // throws on a machine that cannot run the kernels
  return std::make_unique<CpuBackend>();
}

}  // namespace convoy
