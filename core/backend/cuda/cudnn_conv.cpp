#include "core/backend/cuda/cudnn_conv.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "core/tensor/error.h"

namespace convoy::cuda {
namespace {

// Names of operands within a graph.
enum Operand : std::int64_t { kX = 1, kFilters, kY, kBias, kSum };

// Arrays of operands begin at multiples of 16 bytes.
constexpr std::int64_t kAlignment = 16;
constexpr std::int64_t kMostKnobs = 64, kMostNotes = CUDNN_NUMERICAL_NOTE_TYPE_COUNT;

cudnnDataType_t type_of(DType type) {
  switch (type) {
    case DType::bf16: return CUDNN_DATA_BFLOAT16;
    case DType::f16: return CUDNN_DATA_HALF;
    default: return CUDNN_DATA_FLOAT;
  }
}

Descriptor tensor(std::int64_t name, const Layout& layout, DType type, bool between = false) {
  Descriptor descriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  descriptor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type_of(type));
  descriptor.set_all(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, layout.dims);
  descriptor.set_all(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, layout.strides);
  descriptor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, name);
  descriptor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, kAlignment);
  if (between) descriptor.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, true);
  descriptor.finalize();
  return descriptor;
}

Descriptor convolution(const ConvProblem& p) {
  const auto axes = [&](const PerAxis& values) { return std::vector<std::int64_t>(values.begin() + 3 - p.axes, values.end()); };
  Descriptor descriptor(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  descriptor.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  descriptor.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION);
  descriptor.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, static_cast<std::int64_t>(p.axes));
  descriptor.set_all(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, axes(p.pad_low));
  descriptor.set_all(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, axes(p.pad_high));
  descriptor.set_all(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, axes(p.dilation));
  descriptor.set_all(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, axes(p.stride));
  descriptor.finalize();
  return descriptor;
}

/// What differs between the three operations: their attributes' names.
struct ConvNames {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t convolution, x, filters, y, alpha, beta;
};

ConvNames names_of(ConvDirection direction) {
  switch (direction) {
    case ConvDirection::backward_data:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case ConvDirection::backward_filters:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
    default:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
  }
}

Descriptor conv_operation(const ConvProblem& p, const Descriptor& conv, const Descriptor& x, const Descriptor& filters,
                          const Descriptor& y) {
  const ConvNames names = names_of(p.direction);
  Descriptor operation(names.type);
  operation.set(names.convolution, conv);
  operation.set(names.x, x);
  operation.set(names.filters, filters);
  operation.set(names.y, y);
  operation.set(names.alpha, CUDNN_TYPE_FLOAT, 1.0f);
  operation.set(names.beta, CUDNN_TYPE_FLOAT, 0.0f);
  operation.finalize();
  return operation;
}

Descriptor pointwise(cudnnPointwiseMode_t mode) {
  Descriptor descriptor(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  descriptor.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode);
  descriptor.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  descriptor.finalize();
  return descriptor;
}

/// to = mode(from, other); other: null for modes of one operand.
Descriptor pointwise_operation(const Descriptor& mode, const Descriptor& from, const Descriptor* other, const Descriptor& to) {
  Descriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, mode);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, from);
  if (other != nullptr) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *other);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, to);
  operation.finalize();
  return operation;
}

/// The operations of y = conv(x, filters) + bias, or of a gradient. Everything made on the way goes to `parts`.
std::vector<cudnnBackendDescriptor_t> operations_of(const ConvProblem& p, std::vector<Descriptor>& parts) {
  std::vector<cudnnBackendDescriptor_t> operations;
  parts.reserve(16);  // references into it stay
  const auto keep = [&](Descriptor descriptor) -> const Descriptor& { return parts.emplace_back(std::move(descriptor)); };
  const Descriptor& x = keep(tensor(kX, x_layout(p), p.data));
  const Descriptor& filters = keep(tensor(kFilters, filters_layout(p), p.data));
  const Descriptor& y = keep(tensor(kY, y_layout(p), p.data));
  const Descriptor* last = &y;
  if (p.bias) {
    const Descriptor& before = keep(tensor(kSum, y_layout(p), DType::f32, true));
    const Descriptor& bias = keep(tensor(kBias, bias_layout(p), p.data));
    const Descriptor& mode = keep(pointwise(CUDNN_POINTWISE_ADD));
    operations.push_back(keep(pointwise_operation(mode, before, &bias, *last)).get());
    last = &before;
  }
  const Descriptor& conv = keep(convolution(p));
  operations.push_back(keep(conv_operation(p, conv, x, filters, *last)).get());
  std::reverse(operations.begin(), operations.end());
  return operations;
}

}  // namespace

std::string CudnnEngine::text() const {
  std::string text = fmt::format("engine={} knobs=", index);
  for (std::size_t i = 0; i < knobs.size(); ++i) text += fmt::format("{}{}:{}", i ? "," : "", knobs[i].first, knobs[i].second);
  return text;
}

std::optional<CudnnEngine> CudnnEngine::from_text(const std::string& text) {
  CudnnEngine engine;
  const char *at = text.data(), *const end = at + text.size();
  const auto word = [&](std::string_view expected) {
    if (std::string_view(at, static_cast<std::size_t>(end - at)).substr(0, expected.size()) != expected) return false;
    at += expected.size();
    return true;
  };
  const auto number = [&](auto& value) {
    const auto [rest, error] = std::from_chars(at, end, value);
    at = rest;
    return error == std::errc{};
  };
  if (!word("engine=") || !number(engine.index) || !word(" knobs=")) return std::nullopt;
  while (at != end) {
    auto& [type, value] = engine.knobs.emplace_back();
    if ((engine.knobs.size() > 1 && !word(",")) || !number(type) || !word(":") || !number(value)) return std::nullopt;
  }
  return engine;
}

CudnnConv::CudnnConv(cudnnHandle_t handle, const ConvProblem& problem, const Descriptor* device)
    : handle_(handle), problem_(problem), device_(device), graph_(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR) {
  const auto operations = operations_of(problem_, parts_);
  graph_.set_all(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, operations);
  if (handle_ != nullptr) graph_.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle_);
  graph_.finalize();
}

std::vector<Descriptor> CudnnConv::proposals(cudnnBackendHeurMode_t mode) const {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph_);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
  if (device_ != nullptr) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *device_);
  if (!heuristics.try_finalize()) return {};
  std::int64_t count = 0;
  CONVOY_CUDNN(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0,
                                        &count, nullptr));
  return heuristics.parts(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, count);
}

bool CudnnConv::is_allowed(const Descriptor& engine) const {
  const auto notes = engine.values<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                                                kMostNotes);
  const bool exact = problem_.data == DType::f32 && !problem_.tf32;
  return std::none_of(notes.begin(), notes.end(), [&](cudnnBackendNumericalNote_t note) {
    switch (note) {
      case CUDNN_NUMERICAL_NOTE_TENSOR_CORE: return exact;
      case CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS: return !problem_.tf32;
      case CUDNN_NUMERICAL_NOTE_WINOGRAD:
      case CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4: return problem_.data != DType::f32;
      case CUDNN_NUMERICAL_NOTE_STRICT_NAN_PROP: return false;
      default: return true;  // not deterministic, sums of reduced precision, FFT, larger Winograd tiles, and what is new
    }
  });
}

std::vector<CudnnEngine> CudnnConv::candidates(std::size_t most) const {
  std::vector<CudnnEngine> engines;
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    for (const Descriptor& config : proposals(mode)) {
      const auto engine = config.parts(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1);
      if (engine.empty() || !is_allowed(engine.front())) continue;
      CudnnEngine choice{engine.front().value<std::int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64), {}};
      for (const Descriptor& knob :
           config.parts(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, kMostKnobs))
        choice.knobs.emplace_back(
            static_cast<int>(knob.value<cudnnBackendKnobType_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE)),
            knob.value<std::int64_t>(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64));
      if (std::find(engines.begin(), engines.end(), choice) == engines.end()) engines.push_back(std::move(choice));
      if (engines.size() == most) return engines;
    }
    if (!engines.empty()) break;  // the fallbacks are slow: only where the heuristics know nothing
  }
  return engines;
}

std::unique_ptr<CudnnPlan> CudnnConv::build(const CudnnEngine& choice, std::size_t workspace_limit) const {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  engine.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph_);
  engine.set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, choice.index);
  if (device_ != nullptr) engine.set(CUDNN_ATTR_ENGINE_DEVICEPROP, *device_);
  if (!engine.try_finalize() || !is_allowed(engine)) return nullptr;
  Descriptor config(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  config.set(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  std::vector<Descriptor> knobs;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const auto& [type, value] : choice.knobs) {
    Descriptor& knob = knobs.emplace_back(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    knob.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, static_cast<cudnnBackendKnobType_t>(type));
    knob.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, value);
    if (!knob.try_finalize()) return nullptr;
    raw.push_back(knob.get());
  }
  if (!raw.empty()) config.set_all(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw);
  if (!config.try_finalize()) return nullptr;
  Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
  if (handle_ != nullptr) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle_);
  if (device_ != nullptr) plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *device_);
  if (!plan.try_finalize()) return nullptr;
  auto built = std::make_unique<CudnnPlan>(std::move(plan), problem_.bias);
  return built->workspace_bytes() <= workspace_limit ? std::move(built) : nullptr;
}

CudnnPlan::CudnnPlan(Descriptor plan, bool bias) : plan_(std::move(plan)), bias_(bias) {
  workspace_bytes_ =
      static_cast<std::size_t>(plan_.value<std::int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64));
}

void CudnnPlan::run(cudnnHandle_t handle, const Operands& operands, void* workspace) {
  std::vector<void*> pointers{operands.x, operands.filters, operands.y};
  std::vector<std::int64_t> names{kX, kFilters, kY};
  if (bias_) {
    pointers.push_back(operands.bias);
    names.push_back(kBias);
  }
  std::vector<void*> all = pointers;
  all.push_back(workspace);
  if (all != bound_) {
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    pack.set_all(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers);
    pack.set_all(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, names);
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace);
    pack.finalize();
    pack_ = std::move(pack);
    bound_ = std::move(all);
  }
  CONVOY_CUDNN(cudnnBackendExecute(handle, plan_.get(), pack_.get()));
}

}  // namespace convoy::cuda
