#include "core/backend/cuda/cuda_backend.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/cuda_device.h"
#include "core/backend/cuda/kernels.h"
#include "core/tensor/error.h"

namespace convoy::cuda {
namespace {

bool is_narrow(DType type) { return type == DType::bf16 || type == DType::f16; }

/// Kinds with real operands of several types: f64 scalars, copies in a narrow type, casts.
bool takes_any_real(OpKind kind) { return kind == OpKind::cast || kind == OpKind::elementwise_chain || has_doubles(kind); }

std::string told(const TensorDesc& operand) {
  return fmt::format("an operand {} of {}", operand.shape.str(), name_of(operand.dtype));
}

/// Types that no candidate takes, in words; empty if all are fine.
std::string wrong_types(const OpDesc& op) {
  if (takes_any_real(op.kind)) return {};
  const TensorDesc* data = nullptr;  // the first operand of narrow programs' type
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const TensorDesc& operand = op.inputs[i];
    if (!is_floating(operand.dtype)) continue;
    if (operand.dtype != DType::f32 && !is_narrow(operand.dtype))
      return "the cuda backend computes in float32, bfloat16 or float16; found " + told(operand);
    if (!takes_narrow(op.kind, static_cast<int>(i))) {
      if (operand.dtype != DType::f32)
        return fmt::format("operand {} of this kind is float32 beside data of any type; found {}", i, told(operand));
    } else if (data == nullptr) {
      data = &operand;
    } else if (data->dtype != operand.dtype) {
      return fmt::format("data are of one type; found {} and {}", told(*data), told(operand));
    }
  }
  for (const TensorDesc& result : op.outputs)
    if (result.dtype == DType::f64) return "the cuda backend computes in float32, bfloat16 or float16; found " + told(result);
  return {};
}

std::string version_text(int version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

Context context_of(const CudaDevice& device, const CudaOptions& options) {
  const cudaDeviceProp& properties = device.properties();
  return {.stream = device.stream(Stream::compute),
          .device = device.ordinal(),
          .multiprocessors = properties.multiProcessorCount,
          .capability = 10 * properties.major + properties.minor,
          .tf32 = options.tf32,
          .libraries = nullptr};
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(const CudaOptions& options) : device_(options.ordinal), context_(context_of(device_, options)) {
    libraries_ = open_libraries(context_, options);
    context_.libraries = libraries_.get();
  }

  std::string_view name() const override { return "cuda"; }

  std::unique_ptr<Kernel> try_bind(const OpDesc& op, int /*threads*/, std::string* reasons) const override {
    *reasons = wrong_types(op);
    if (!reasons->empty()) return nullptr;
    const auto table = candidates(op.kind);
    if (table.empty()) *reasons = "ops of this kind are not a backend's business";
    for (const Candidate& candidate : table) {
      std::string reason;
      if (auto kernel = candidate.bind(context_, op, &reason)) return kernel;
      *reasons += fmt::format("{}{}: {}", reasons->empty() ? "" : "; ", candidate.name, reason);
    }
    return nullptr;
  }

  std::unique_ptr<Kernel> bind_together(std::span<const OpDesc> ops) const override {
    const OpKind kind = ops.front().kind;
    if (!std::all_of(ops.begin(), ops.end(), [&](const OpDesc& op) { return op.kind == kind; })) return nullptr;
    if (kind == OpKind::weight_update) return bind_weight_updates_together(context_, ops);
    if (kind == OpKind::running_update || kind == OpKind::average_update) return bind_blends_together(context_, ops);
    return nullptr;
  }

  Device& device() const override { return device_; }

  std::string plans() const override { return libraries_ ? library_plans(*libraries_) : std::string(); }
  void adopt_plans(const std::string& plans) override {
    if (libraries_) adopt_library_plans(*libraries_, plans);
  }

  /// The driver is not told: it changes no bit of code that is compiled for the device already, and clusters renew it.
  std::vector<std::pair<std::string, std::string>> identity() const override {
    int runtime = 0;
    CONVOY_CUDA(cudaRuntimeGetVersion(&runtime));
    std::vector<std::pair<std::string, std::string>> all{
        {"device", device_.name()},
        {"compute capability", fmt::format("{}.{}", context_.capability / 10, context_.capability % 10)},
        {"cuda", version_text(runtime)}};
    if (libraries_)
      for (auto& version : library_versions(*libraries_)) all.push_back(std::move(version));
    return all;
  }

 private:
  mutable CudaDevice device_;
  Context context_;
  std::shared_ptr<Libraries> libraries_;
};

}  // namespace

std::unique_ptr<Backend> make_backend(const CudaOptions& options) { return std::make_unique<CudaBackend>(options); }

}  // namespace convoy::cuda
