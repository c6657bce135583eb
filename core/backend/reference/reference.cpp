#include <fmt/format.h>
#include <gnu/libc-version.h>

#include <array>

#include "core/backend/reference/kernels.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

struct Entry {
  OpKind kind;
  reference::Run run;
};

// Every kind but reshape (a view) and external (a callback), which programs run themselves.
constexpr std::array kTable{
    Entry{OpKind::prepare, reference::prepare},
    Entry{OpKind::conv, reference::conv},
    Entry{OpKind::conv_backward_data, reference::conv_backward_data},
    Entry{OpKind::conv_backward_filters, reference::conv_backward_filters},
    Entry{OpKind::dense, reference::dense},
    Entry{OpKind::dense_backward_data, reference::dense_backward_data},
    Entry{OpKind::dense_backward_weights, reference::dense_backward_weights},
    Entry{OpKind::pool, reference::pool},
    Entry{OpKind::pool_backward, reference::pool_backward},
    Entry{OpKind::activation, reference::activation},
    Entry{OpKind::activation_backward, reference::activation_backward},
    Entry{OpKind::batch_norm, reference::batch_norm},
    Entry{OpKind::batch_norm_inference, reference::batch_norm_inference},
    Entry{OpKind::batch_norm_backward, reference::batch_norm_backward},
    Entry{OpKind::batch_norm_moments, reference::batch_norm_moments},
    Entry{OpKind::batch_norm_global, reference::batch_norm_global},
    Entry{OpKind::batch_norm_global_sums, reference::batch_norm_global_sums},
    Entry{OpKind::batch_norm_global_backward, reference::batch_norm_global_backward},
    Entry{OpKind::local_response, reference::local_response},
    Entry{OpKind::local_response_backward, reference::local_response_backward},
    Entry{OpKind::layer_norm, reference::layer_norm},
    Entry{OpKind::layer_norm_backward, reference::layer_norm_backward},
    Entry{OpKind::resample, reference::resample},
    Entry{OpKind::resample_backward, reference::resample_backward},
    Entry{OpKind::path_weights, reference::path_weights},
    Entry{OpKind::scale_samples, reference::scale_samples},
    Entry{OpKind::dropout, reference::dropout},
    Entry{OpKind::add, reference::add},
    Entry{OpKind::multiply, reference::multiply},
    Entry{OpKind::add_channels, reference::add_channels},
    Entry{OpKind::multiply_channels, reference::multiply_channels},
    Entry{OpKind::sum_to_channels, reference::sum_to_channels},
    Entry{OpKind::dot_to_channels, reference::dot_to_channels},
    Entry{OpKind::concat, reference::concat},
    Entry{OpKind::slice, reference::slice},
    Entry{OpKind::pad_channels, reference::pad_channels},
    Entry{OpKind::softmax_cross_entropy, reference::softmax_cross_entropy},
    Entry{OpKind::softmax_cross_entropy_backward, reference::softmax_cross_entropy_backward},
    Entry{OpKind::mean_squared, reference::mean_squared},
    Entry{OpKind::mean_squared_backward, reference::mean_squared_backward},
    Entry{OpKind::binary_cross_entropy, reference::binary_cross_entropy},
    Entry{OpKind::binary_cross_entropy_backward, reference::binary_cross_entropy_backward},
    Entry{OpKind::top_k, reference::top_k},
    Entry{OpKind::sum_weights, reference::sum_weights},
    Entry{OpKind::scatter_connections, reference::scatter_connections},
    Entry{OpKind::gather_connections, reference::gather_connections},
    Entry{OpKind::cast, reference::cast},
    Entry{OpKind::elementwise_chain, reference::elementwise_chain},
    Entry{OpKind::step_guard, reference::step_guard},
    Entry{OpKind::weight_update, reference::weight_update},
    Entry{OpKind::running_update, reference::running_update},
    Entry{OpKind::squared_norms, reference::squared_norms},
    Entry{OpKind::clip_norm, reference::clip_norm},
    Entry{OpKind::average_update, reference::average_update},
};

reference::Run find(OpKind kind) {
  for (const Entry& entry : kTable)
    if (entry.kind == kind) return entry.run;
  return nullptr;
}

/// The loops read double only; prepare alone also reads images as stored.
std::string wrong_type(const OpDesc& op) {
  const auto refuse = [](std::string_view side, std::size_t i, DType found) {
    return fmt::format(
        "the reference backend computes in float64, but {} {} is {}; build the graph with Graph(DType::f64)",
        side, i, name_of(found));
  };
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const DType found = op.inputs[i].dtype;
    const bool image = op.kind == OpKind::prepare && i == 0;
    if (is_floating(found) && found != DType::f64 && !image) return refuse("input", i, found);
  }
  for (std::size_t i = 0; i < op.outputs.size(); ++i)
    if (is_floating(op.outputs[i].dtype) && op.outputs[i].dtype != DType::f64)
      return refuse("output", i, op.outputs[i].dtype);
  return {};
}

class ReferenceKernel final : public Kernel {
 public:
  ReferenceKernel(OpDesc op, reference::Run loop) : op_(std::move(op)), run_(loop) {}
  void run(const KernelArguments& arguments) override { run_(op_, arguments); }
  std::string implementation() const override { return "reference"; }

 private:
  OpDesc op_;
  reference::Run run_;
};

class ReferenceBackend final : public Backend {
 public:
  std::string_view name() const override { return "reference"; }

  /// Each output element is summed in one order whatever `threads` says.
  std::unique_ptr<Kernel> try_bind(const OpDesc& op, int /*threads*/, std::string* reasons) const override {
    const auto run = find(op.kind);
    *reasons = run ? wrong_type(op)
                   : fmt::format("{} has no kernel on any backend: a program runs it itself", op_def(op.kind).name);
    return reasons->empty() ? std::make_unique<ReferenceKernel>(op, run) : nullptr;
  }

  Device& device() const override { return *device_; }

  std::vector<std::pair<std::string, std::string>> identity() const override {
    // exp, tanh and log come from the C library, whose versions may round differently.
    return {{"backend", "reference"}, {"libc", gnu_get_libc_version()}};
  }

 private:
  std::unique_ptr<Device> device_ = make_host_device();
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace convoy
