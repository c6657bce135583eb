// Convolution and its two gradients by cuDNN.
//
// All data of a problem are of one type. Two f32 companions of narrow data are therefore rounded to it: the bias that is
// added in the epilogue, and the gradient of filters that cuDNN's engines write (its sums are f32). The bias' gradient is
// our own sum in f32.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/conv_problem.h"
#include "core/backend/cuda/cudnn_conv.h"
#include "core/backend/cuda/libraries.h"
#include "core/backend/cuda/padding.h"
#include "core/backend/cuda/sub_kernel.h"
#include "core/backend/cuda/trial.h"

namespace convoy::cuda {
namespace {

// Engines that are timed; cuDNN's heuristics put the promising ones first.
constexpr std::size_t kCandidates = 8;

/// The fastest of a problem's engines by trial; text, or empty where none works. Without room for a trial on the device, the
/// first that can be made.
std::string time_engines(const Libraries& libraries, const CudnnConv& conv, const ConvProblem& p) {
  std::vector<std::string> texts;
  std::vector<std::shared_ptr<CudnnPlan>> plans;
  std::size_t workspace_bytes = 0;
  for (const CudnnEngine& engine : conv.candidates(kCandidates)) {
    std::shared_ptr<CudnnPlan> plan = conv.build(engine, libraries.workspace_limit());
    if (plan == nullptr) continue;
    workspace_bytes = std::max(workspace_bytes, plan->workspace_bytes());
    texts.push_back(engine.text());
    plans.push_back(std::move(plan));
  }
  if (plans.size() <= 1) return plans.empty() ? std::string() : texts.front();
  const auto memory = [&](const Layout& layout) {
    return TrialMemory(p.data, static_cast<std::size_t>(layout.elements()), libraries.stream());
  };
  const TrialMemory x = memory(x_layout(p)), filters = memory(filters_layout(p)), y = memory(y_layout(p)),
                    bias = memory(bias_layout(p)), workspace(workspace_bytes);
  for (const TrialMemory* each : {&x, &filters, &y, &bias, &workspace})
    if (each->get() == nullptr) return texts.front();
  std::vector<std::function<void()>> runs;
  for (const auto& plan : plans)
    runs.emplace_back([&, plan] {
      plan->run(libraries.cudnn(), {x.get(), filters.get(), y.get(), bias.get()}, workspace.get());
    });
  const TrialMemory& result = p.direction == ConvDirection::forward         ? y
                              : p.direction == ConvDirection::backward_data ? x
                                                                            : filters;
  const int best = fastest(libraries.stream(), runs, result);
  return best < 0 ? std::string() : texts[static_cast<std::size_t>(best)];
}

/// Null: cuDNN has no engine for it.
std::unique_ptr<CudnnPlan> plan_of(Libraries& libraries, const ConvProblem& problem) {
  const CudnnConv conv(libraries.cudnn(), problem);
  std::unique_ptr<CudnnPlan> plan;
  const auto make = [&](const std::string& text) {
    const std::optional<CudnnEngine> engine = CudnnEngine::from_text(text);
    plan = engine ? conv.build(*engine, libraries.workspace_limit()) : nullptr;
    return plan != nullptr;
  };
  const std::string text = libraries.plan_for(key_of(problem), make, [&] { return time_engines(libraries, conv, problem); });
  if (plan == nullptr && !text.empty()) make(text);
  return plan;
}

/// A plan with the kernels that stand around it. Which of them there are is settled at bind time.
class ConvKernel final : public Kernel {
 public:
  static std::unique_ptr<ConvKernel> make(const Context& context, const OpDesc& op, std::string* reason);

  std::size_t scratch_bytes() const override { return scratch_.bytes(); }
  std::string implementation() const override { return implementation_; }
  void run(const KernelArguments& arguments) override;

 private:
  /// A kernel of ours whose result lies in scratch (or, the last ones, in the operand itself).
  struct Step {
    Bound kernel;
    std::size_t result = 0;
  };

  ConvKernel(const Context& context, const OpDesc& op)
      : context_(context), problem_(conv_problem_of(op, context.tf32)), type_(problem_.data) {}

  bool pad_images(const OpDesc& op, std::string* reason);
  bool pad_channels(std::string* reason);
  bool find_plan(bool relu, std::string* reason);
  bool bind_bias(const OpDesc& op, std::string* reason);
  bool bind_filters_result(const OpDesc& op, std::string* reason);
  bool step(std::optional<Step>& to, Bound (*bind)(const Context&, const OpDesc&, std::string*), const OpDesc& op,
            bool result_in_scratch, std::string* reason);
  void run_step(Step& step, std::initializer_list<const void*> inputs, void* result, void* scratch) {
    run_kernel(*step.kernel, inputs, {result}, piece(scratch, shared_));
  }

  const void* images(const void* x, void* scratch);
  void forward(const KernelArguments& arguments);
  void backward_data(const KernelArguments& arguments);
  void backward_filters(const KernelArguments& arguments);

  Context context_;
  ConvProblem problem_;   // what the plan computes
  DType type_;
  std::unique_ptr<CudnnPlan> plan_;
  std::optional<CopiedPadding> padding_;
  std::optional<Step> wide_images_, wide_filters_;      // few channels padded to more
  std::optional<Step> narrow_bias_, add_bias_, relu_;   // forward
  std::optional<Step> few_channels_, to_f32_, bias_sum_;  // gradient of filters
  ScratchPlan scratch_;
  std::size_t padded_ = 0, filters_ = 0, workspace_ = 0, shared_ = 0;  // pieces; shared: of our kernels, one at a time
  std::size_t shared_bytes_ = 0;
  std::string implementation_;
};

Shape images_shape(const ConvProblem& p, std::int64_t channels) {
  return Shape{p.n, p.in[0], p.in[1], p.in[2], channels};
}
Shape filters_shape(const ConvProblem& p, std::int64_t channels) {
  return Shape{p.o, p.kernel[0], p.kernel[1], p.kernel[2], channels};
}
Shape result_shape(const ConvProblem& p) { return Shape{p.n, p.out[0], p.out[1], p.out[2], p.o}; }

bool ConvKernel::step(std::optional<Step>& to, Bound (*bind)(const Context&, const OpDesc&, std::string*), const OpDesc& op,
                      bool result_in_scratch, std::string* reason) {
  Bound kernel = bind(context_, op, reason);
  if (kernel == nullptr) return false;
  shared_bytes_ = std::max(shared_bytes_, kernel->scratch_bytes());
  const TensorDesc& result = op.outputs[0];
  const std::size_t bytes = static_cast<std::size_t>(result.shape.elements()) * size_of(result.dtype);
  to = Step{std::move(kernel), result_in_scratch ? scratch_.take(bytes) : 0};
  return true;
}

bool ConvKernel::pad_images(const OpDesc& op, std::string* reason) {
  const ConvAttributes& conv = op.kind == OpKind::conv ? std::get<ConvAttributes>(op.attributes)
                                                       : std::get<ConvBackwardAttributes>(op.attributes).conv;
  ConvProblem& p = problem_;
  if (conv.pad_mode == PadMode::zero) return true;
  padding_.emplace(conv.pad_mode, p.n, p.c, p.in, p.pad_low, p.pad_high);
  if (padding_->declines(reason)) return false;
  p.in = padding_->padded();
  p.pad_low = p.pad_high = {};
  padded_ = scratch_.take(padding_->padded_bytes(type_));
  return true;
}

/// Images of few channels get zeros up to what tensor cores take; so do the filters, whose gradient loses them again.
bool ConvKernel::pad_channels(std::string* reason) {
  ConvProblem& p = problem_;
  const std::int64_t few = p.c, many = padded_channels(p);
  if (many == few) return true;
  const ChannelsAttributes pad{.begin = 0, .count = many};
  const auto padded = [&](const Shape& from, const Shape& to) {
    return OpDesc{OpKind::pad_channels, pad, {{from, type_}}, {{to, type_}}, {}};
  };
  if (!step(wide_images_, bind_pad_channels, padded(images_shape(p, few), images_shape(p, many)), true, reason)) return false;
  if (p.direction == ConvDirection::forward &&
      !step(wide_filters_, bind_pad_channels, padded(filters_shape(p, few), filters_shape(p, many)), true, reason))
    return false;
  if (p.direction == ConvDirection::backward_filters) {
    const OpDesc slice{OpKind::slice, ChannelsAttributes{.begin = 0, .count = few},
                       {{filters_shape(p, many), type_}}, {{filters_shape(p, few), type_}}, {}};
    if (!step(few_channels_, bind_slice, slice, true, reason)) return false;
  }
  p.c = many;
  return true;
}

/// ReLU is our own, and keeps what is not a number; cuDNN has deprecated the attribute that asked for that and documents
/// nothing in its place.
bool ConvKernel::find_plan(bool relu, std::string* reason) {
  ConvProblem& p = problem_;
  const OpDesc add{OpKind::add_channels, {}, {{result_shape(p), type_}, {Shape{p.o}, DType::f32}}, {{result_shape(p), type_}}, {}};
  const OpDesc rectify{OpKind::activation, ActivationAttributes{ActivationKind::relu}, {{result_shape(p), type_}},
                       {{result_shape(p), type_}}, {}};
  plan_ = plan_of(*context_.libraries, p);
  if (plan_ == nullptr && p.bias) {
    p.bias = false;
    plan_ = plan_of(*context_.libraries, p);
    if (!step(add_bias_, bind_channel_operand, add, false, reason)) return false;
  }
  if (plan_ == nullptr) return *reason = "cuDNN has no deterministic engine for " + key_of(p), false;
  if (relu && !step(relu_, bind_activation, rectify, false, reason)) return false;
  for (const auto* in_place : {&add_bias_, &relu_})
    if (*in_place && !(*in_place)->kernel->runs_in_place(0, 0)) return *reason = "bias and ReLU do not run in place", false;
  return true;
}

bool ConvKernel::bind_bias(const OpDesc& op, std::string* reason) {
  const TensorDesc wide{Shape{problem_.o}, DType::f32}, narrow{Shape{problem_.o}, type_};
  if (problem_.direction == ConvDirection::forward) {
    if (!problem_.bias || type_ == DType::f32) return true;
    return step(narrow_bias_, bind_cast, {OpKind::cast, CastAttributes{type_}, {wide}, {narrow}, {}}, true, reason);
  }
  const bool wanted = op.outputs.size() > 1 && (op.wanted.empty() || op.wanted[1]);
  if (!wanted || problem_.direction != ConvDirection::backward_filters) return true;
  return step(bias_sum_, bind_channel_sum, {OpKind::sum_to_channels, {}, {op.inputs[1]}, {wide}, {}}, false, reason);
}

bool ConvKernel::bind_filters_result(const OpDesc& op, std::string* reason) {
  if (problem_.direction != ConvDirection::backward_filters) return true;
  if (few_channels_ || type_ != DType::f32)
    filters_ = scratch_.take(static_cast<std::size_t>(filters_layout(problem_).elements()) * size_of(type_));
  if (type_ == DType::f32) return true;
  const TensorDesc narrow{op.outputs[0].shape, type_};
  return step(to_f32_, bind_cast, {OpKind::cast, CastAttributes{DType::f32}, {narrow}, {op.outputs[0]}, {}}, false, reason);
}

std::unique_ptr<ConvKernel> ConvKernel::make(const Context& context, const OpDesc& op, std::string* reason) {
  auto kernel = std::unique_ptr<ConvKernel>(new ConvKernel(context, op));
  ConvKernel& k = *kernel;
  const bool relu = op.kind == OpKind::conv && std::get<ConvAttributes>(op.attributes).activation == ActivationKind::relu;
  if (!k.pad_images(op, reason) || !k.pad_channels(reason) || !k.find_plan(relu, reason) || !k.bind_bias(op, reason) ||
      !k.bind_filters_result(op, reason))
    return nullptr;
  k.workspace_ = k.scratch_.take(k.plan_->workspace_bytes());
  k.shared_ = k.scratch_.take(k.shared_bytes_);
  k.implementation_ = k.problem_.bias ? "cudnn+bias" : "cudnn";
  return kernel;
}

/// x as the plan takes it.
const void* ConvKernel::images(const void* x, void* scratch) {
  if (padding_) {
    padding_->pad(type_, x, piece(scratch, padded_), context_.stream);
    x = piece(scratch, padded_);
  }
  if (wide_images_) {
    void* wide = piece(scratch, wide_images_->result);
    run_step(*wide_images_, {x}, wide, scratch);
    x = wide;
  }
  return x;
}

void ConvKernel::run(const KernelArguments& arguments) {
  switch (problem_.direction) {
    case ConvDirection::forward: return forward(arguments);
    case ConvDirection::backward_data: return backward_data(arguments);
    case ConvDirection::backward_filters: return backward_filters(arguments);
  }
}

void ConvKernel::forward(const KernelArguments& arguments) {
  void* scratch = arguments.scratch;
  const void *x = images(arguments.inputs[0], scratch), *filters = arguments.inputs[1];
  void* y = arguments.outputs[0];
  if (wide_filters_) {
    void* wide = piece(scratch, wide_filters_->result);
    run_step(*wide_filters_, {filters}, wide, scratch);
    filters = wide;
  }
  const void* bias = problem_.bias ? arguments.inputs[2] : nullptr;
  if (narrow_bias_) {
    void* narrow = piece(scratch, narrow_bias_->result);
    run_step(*narrow_bias_, {bias}, narrow, scratch);
    bias = narrow;
  }
  plan_->run(context_.libraries->cudnn(), {const_cast<void*>(x), const_cast<void*>(filters), y, const_cast<void*>(bias)},
             piece(scratch, workspace_));
  if (add_bias_) run_step(*add_bias_, {y, arguments.inputs[2]}, y, scratch);
  if (relu_) run_step(*relu_, {y}, y, scratch);
}

void ConvKernel::backward_data(const KernelArguments& arguments) {
  void *dx = arguments.outputs[0], *padded = padding_ ? piece(arguments.scratch, padded_) : dx;
  plan_->run(context_.libraries->cudnn(), {padded, arguments.inputs[1], arguments.inputs[0], nullptr},
             piece(arguments.scratch, workspace_));
  if (padding_) padding_->add_back(type_, type_, padded, dx, context_.stream);
}

void ConvKernel::backward_filters(const KernelArguments& arguments) {
  void *scratch = arguments.scratch, *dy = arguments.inputs[1], *result = arguments.outputs[0];
  if (bias_sum_ && arguments.outputs[1] != nullptr) run_step(*bias_sum_, {dy}, arguments.outputs[1], scratch);
  if (result == nullptr) return;
  const void* x = images(arguments.inputs[0], scratch);
  void* filters = few_channels_ || to_f32_ ? piece(scratch, filters_) : result;
  plan_->run(context_.libraries->cudnn(), {const_cast<void*>(x), filters, dy, nullptr}, piece(scratch, workspace_));
  if (few_channels_) {
    void* few = to_f32_ ? piece(scratch, few_channels_->result) : result;
    run_step(*few_channels_, {filters}, few, scratch);
    filters = few;
  }
  if (to_f32_) run_step(*to_f32_, {filters}, result, scratch);
}

}  // namespace

Bound bind_conv_cudnn(const Context& context, const OpDesc& op, std::string* reason) {
  if (context.libraries == nullptr) return *reason = "there is no cuDNN", nullptr;
  return ConvKernel::make(context, op, reason);
}

}  // namespace convoy::cuda
