// Convolution and its two gradients: padding by copies where the mode asks for it, then a primitive.
#include <algorithm>
#include <memory>
#include <optional>

#include "core/backend/cpu/conv_loop.h"
#include "core/backend/cpu/conv_padding.h"
#include "core/backend/cpu/conv_small.h"
#include "core/backend/cpu/conv_winograd.h"
#include "core/backend/cpu/kernels.h"
#include "core/backend/cpu/layer_kernel.h"
#include "core/backend/cpu/onednn.h"

namespace convoy::cpu {
namespace {

struct ConvProblem {
  ConvSizes sizes;  // as the primitive sees it: padding by copies already done
  std::optional<CopiedPadding> padding;
  Direction direction = Direction::forward;
};

std::array<std::int64_t, 3> spatial(const Shape& shape, int axes) {
  std::array<std::int64_t, 3> extents{1, 1, 1};
  for (int a = 0; a < axes; ++a) extents[static_cast<std::size_t>(a)] = shape[1 + a];
  return extents;
}

ConvProblem problem_of(const OpDesc& op) {
  const bool forward = op.kind == OpKind::conv;
  const ConvAttributes& conv =
      forward ? std::get<ConvAttributes>(op.attributes) : std::get<ConvBackwardAttributes>(op.attributes).conv;
  const Shape& x = forward ? op.inputs[0].shape : std::get<ConvBackwardAttributes>(op.attributes).input;
  const Shape& y = forward                                 ? op.outputs[0].shape
                   : op.kind == OpKind::conv_backward_data ? op.inputs[0].shape
                                                           : op.inputs[1].shape;
  ConvProblem p;
  p.direction = forward                                 ? Direction::forward
                : op.kind == OpKind::conv_backward_data ? Direction::backward_data
                                                        : Direction::backward_filters;
  ConvSizes& s = p.sizes;
  s.axes = conv.axes;
  s.n = x[0];
  s.c = x[-1];
  s.o = conv.channels;
  s.groups = conv.groups;
  s.in = spatial(x, conv.axes);
  s.out = spatial(y, conv.axes);
  s.kernel = s.stride = s.dilation = {1, 1, 1};
  for (std::size_t a = 0; a < static_cast<std::size_t>(conv.axes); ++a) {
    s.kernel[a] = conv.kernel[a];
    s.stride[a] = conv.stride[a];
    s.dilation[a] = conv.dilation[a];
    s.pad_low[a] = conv.pad_low[a];
    s.pad_high[a] = conv.pad_high[a];
  }
  s.bias = forward ? op.inputs.size() > 2
           : op.kind == OpKind::conv_backward_filters
               ? op.outputs.size() > 1 && (op.wanted.empty() || op.wanted[1])
               : false;
  s.relu = forward && conv.activation == ActivationKind::relu;
  if (conv.pad_mode != PadMode::zero) {
    p.padding.emplace(conv.pad_mode, s.n, s.c, s.in, s.pad_low, s.pad_high);
    s.in = p.padding->padded();
    s.pad_low = s.pad_high = {};
  }
  return p;
}

void run_conv(const ConvProblem& p, LayerPrimitive& primitive, int threads, const KernelArguments& arguments) {
  auto* padded = static_cast<float*>(arguments.scratch);
  void* scratch =
      static_cast<std::byte*>(arguments.scratch) + (p.padding ? round_up_64(p.padding->padded_bytes()) : 0);
  const float* a = input<float>(arguments, 0);
  const float* b = input<float>(arguments, 1);
  float* result = output<float>(arguments, 0);
  switch (p.direction) {
    case Direction::forward: {
      if (p.padding) p.padding->pad(a, padded, threads);
      primitive.run(p.padding ? padded : a, b, p.sizes.bias ? changed_input<float>(arguments, 2) : nullptr,
                    result, scratch);
      break;
    }
    case Direction::backward_data: {
      primitive.run(a, b, nullptr, p.padding ? padded : result, scratch);
      if (p.padding) p.padding->add_back(padded, result, threads);
      break;
    }
    case Direction::backward_filters: {
      if (p.padding) p.padding->pad(a, padded, threads);
      primitive.run(p.padding ? padded : a, b, p.sizes.bias ? output<float>(arguments, 1) : nullptr, result,
                    scratch);
      break;
    }
  }
}

using MakePrimitive = std::unique_ptr<LayerPrimitive> (*)(const ConvSizes&, Direction, int, std::string*);

Bound bind_with(MakePrimitive make, const OpDesc& op, int threads, std::string* reason) {
  ConvProblem problem = problem_of(op);
  std::shared_ptr<LayerPrimitive> primitive = make(problem.sizes, problem.direction, threads, reason);
  if (primitive == nullptr) return nullptr;
  KernelSpec spec;
  spec.implementation = primitive->implementation();
  spec.scratch_bytes = primitive->scratch_bytes();
  if (problem.padding) spec.scratch_bytes += round_up_64(problem.padding->padded_bytes());
  spec.run = [problem = std::move(problem), primitive, threads](const KernelArguments& arguments) {
    run_conv(problem, *primitive, threads, arguments);
  };
  return make_kernel(std::move(spec));
}

/// Where bf16 itself is faster than Winograd's quarter of the products in f32; else empty. Measured (Zen 5, two threads, layers
/// of vgg-16, resnet-50 and googlenet): gradients of filters take 0.6 of bf16's time, images that as long as the filters, whose
/// transformation all tiles share, do not weigh more than these.
std::string faster_in_bf16(const ConvSizes& s, Direction direction) {
  constexpr std::int64_t kLeastChannels = 32;
  if (onednn::isa().find("amx") != std::string::npos) return "AMX multiplies bf16 faster";
  if (!onednn::multiplies_bf16()) return {};
  if (std::min(s.c, s.o) < kLeastChannels) return "with few channels bf16 itself is faster";
  const auto& to = direction == Direction::backward_data ? s.in : s.out;
  const std::int64_t tiles = s.n * ((to[0] + 3) / 4) * ((to[1] + 3) / 4);
  if (direction != Direction::backward_filters && 2 * tiles < std::max(s.c, s.o)) return "with few tiles bf16 itself is faster";
  return {};
}

}  // namespace

Bound bind_conv_winograd(const OpDesc& op, int threads, std::string* reason) {
  return bind_with(make_conv_winograd, op, threads, reason);
}

Bound bind_conv_winograd_bf16(const OpDesc& op, int threads, std::string* reason) {
  const ConvProblem problem = problem_of(op);
  *reason = problem.padding ? "padding by copies is done in f32" : faster_in_bf16(problem.sizes, problem.direction);
  if (!reason->empty()) return nullptr;
  return bind_bf16(make_conv_winograd_bf16(problem.sizes, problem.direction, threads, reason), problem.direction,
                   problem.sizes.bias);
}

Bound bind_conv_dense(const OpDesc& op, int threads, std::string* reason) {
  return bind_with(make_conv_dense, op, threads, reason);
}

Bound bind_conv_small(const OpDesc& op, int threads, std::string* reason) {
  return bind_with(make_conv_small, op, threads, reason);
}

Bound bind_conv_onednn(const OpDesc& op, int threads, std::string* reason) {
  return bind_with(onednn::make_conv, op, threads, reason);
}

Bound bind_conv_onednn_bf16(const OpDesc& op, int threads, std::string* reason) {
  const ConvProblem problem = problem_of(op);
  if (problem.padding) {
    *reason = "padding by copies is done in f32";
    return nullptr;
  }
  return bind_bf16(onednn::make_conv_bf16(problem.sizes, problem.direction, threads, reason), problem.direction,
                   problem.sizes.bias);
}

Bound bind_conv_loop(const OpDesc& op, int threads, std::string* reason) {
  return bind_with(make_conv_loop, op, threads, reason);
}

}  // namespace convoy::cpu
