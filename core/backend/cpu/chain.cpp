// Chains of element-wise ops: block after block, each step a loop over vectors that lie in the first cache. Outputs are written
// when all steps of a block have read its inputs, so an output may lie in the place of any input of its size.
#include "core/ops/chain.h"

#include <algorithm>
#include <cstdint>

#include "core/backend/cpu/isa.h"
#include "core/backend/cpu/kernels.h"
#include "core/backend/cpu/reals.h"
#include "core/backend/cpu/vector/elementwise.h"

namespace convoy::cpu {
namespace {

constexpr std::int64_t kChainBlock = 1024;
/// From one buffer to the next: no multiple of 4096 bytes, or processors take a load for one of what was just stored there.
constexpr std::int64_t kBufferStride = kChainBlock + 336;
constexpr int kMostRegisters = kMostChainInputs + kMostChainSteps;

const ElementwiseKernels& kernels() {
  return cpu_isa() == CpuIsa::avx512 ? avx512::elementwise_kernels : avx2::elementwise_kernels;
}

struct BoundStep {
  ElementwiseKernels::Activation unary = nullptr;
  ElementwiseKernels::ActivationBackward backward = nullptr;
  ElementwiseKernels::Binary binary = nullptr;
  float slope = 0;
  std::size_t a = 0, b = 0;
  Reals type{DType::f32};
  bool read = false;  // by a later step
};

BoundStep bind_step(const ChainStep& step) {
  using Function = ChainStep::Function;
  BoundStep bound{.slope = static_cast<float>(step.activation.slope), .a = static_cast<std::size_t>(step.a), .b = static_cast<std::size_t>(step.b), .type = Reals(step.type)};
  const auto kind = static_cast<std::size_t>(step.activation.kind);
  switch (step.function) {
    case Function::activation: bound.unary = kernels().activation[kind]; break;
    case Function::activation_backward: bound.backward = kernels().activation_backward[kind]; break;
    case Function::add:
    case Function::add_channels: bound.binary = kernels().add; break;
    case Function::multiply:
    case Function::multiply_channels: bound.binary = kernels().multiply; break;
    case Function::cast: bound.unary = kernels().activation[static_cast<int>(ActivationKind::none)]; break;
  }
  return bound;
}

class Chain {
 public:
  explicit Chain(const OpDesc& op)
      : elements_(op.outputs[0].shape.elements()), channels_(op.outputs[0].shape[-1]),
        chain_(std::get<ChainAttributes>(op.attributes)), per_channel_(per_channel_inputs(chain_, op.inputs.size())) {
    for (const TensorDesc& input : op.inputs) inputs_.emplace_back(input.dtype);
    for (const ChainStep& step : chain_.steps) steps_.push_back(bind_step(step));
    for (const ChainStep& step : chain_.steps)
      for (const int operand : {step.a, step.b})
        if (operand >= static_cast<int>(inputs_.size())) steps_[static_cast<std::size_t>(operand) - inputs_.size()].read = true;
    for (std::size_t o = 0; o < chain_.outputs.size(); ++o)
      if (chain_.outputs[o] + 1 == static_cast<int>(steps_.size()) && !steps_.back().type.narrow()) direct_ = static_cast<int>(o);
  }

  std::int64_t elements() const { return elements_; }

  /// Numbers per channel, repeated until a block that begins at any channel finds its own side by side.
  std::size_t scratch_bytes() const {
    return static_cast<std::size_t>(std::count(per_channel_.begin(), per_channel_.end(), true)) * spread_bytes();
  }

  void spread(const KernelArguments& arguments) const {
    auto* to = static_cast<std::byte*>(arguments.scratch);
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (!per_channel_[i]) continue;
      const auto* from = input<float>(arguments, static_cast<int>(i));
      auto* row = reinterpret_cast<float*>(to);
      for (std::int64_t at = 0; at < channels_ + kChainBlock; at += channels_)
        std::copy_n(from, std::min(channels_, channels_ + kChainBlock - at), row + at);
      to += spread_bytes();
    }
  }

  /// The elements [begin, begin + n), n <= kChainBlock.
  void run(const KernelArguments& arguments, std::int64_t begin, std::int64_t n) const {
    alignas(64) float buffers[kMostRegisters][kBufferStride];
    const float* registers[kMostRegisters];
    const auto* row = static_cast<const std::byte*>(arguments.scratch);
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      if (per_channel_[i]) {
        registers[i] = reinterpret_cast<const float*>(row) + begin % channels_;
        row += spread_bytes();
      } else {
        registers[i] = inputs_[i].read(input<void>(arguments, static_cast<int>(i)), begin, n, buffers[i]);
      }
    }
    for (std::size_t s = 0; s < steps_.size(); ++s) {
      const BoundStep& step = steps_[s];
      float* result = buffers[inputs_.size() + s];
      if (s + 1 == steps_.size() && direct_ >= 0)  // nothing reads inputs behind the last step
        if (auto* y = output<float>(arguments, direct_)) result = y + begin;
      if (step.unary != nullptr)
        step.unary(registers[step.a], step.slope, result, n);
      else if (step.backward != nullptr)
        step.backward(registers[step.a], registers[step.b], step.slope, result, n);
      else
        step.binary(registers[step.a], registers[step.b], result, n);
      if (step.read && step.type.narrow()) {
        std::uint16_t rounded[kChainBlock];
        step.type.put(rounded, 0, n, result);
        step.type.read(rounded, 0, n, result);
      }
      registers[inputs_.size() + s] = result;
    }
    for (std::size_t o = 0; o < chain_.outputs.size(); ++o) {
      auto* y = output<void>(arguments, static_cast<int>(o));
      if (y == nullptr) continue;
      const auto s = static_cast<std::size_t>(chain_.outputs[o]);
      const float* result = registers[inputs_.size() + s];
      if (static_cast<int>(o) == direct_) continue;
      if (steps_[s].type.narrow())
        steps_[s].type.put(y, begin, n, result);
      else
        std::copy_n(result, n, static_cast<float*>(y) + begin);
    }
  }

 private:
  std::int64_t elements_, channels_;
  ChainAttributes chain_;
  std::vector<bool> per_channel_;
  std::vector<Reals> inputs_;
  std::vector<BoundStep> steps_;
  int direct_ = -1;  // the output that the last step writes to its place by itself

  std::size_t spread_bytes() const { return round_up_64(static_cast<std::size_t>(channels_ + kChainBlock) * sizeof(float)); }
};

}  // namespace

Bound bind_chain(const OpDesc& op, int threads, std::string* reason) {
  const auto& attributes = std::get<ChainAttributes>(op.attributes);
  if (op.inputs.size() > kMostChainInputs || attributes.steps.size() > kMostChainSteps) {
    *reason = "takes at most " + std::to_string(kMostChainInputs) + " inputs and " + std::to_string(kMostChainSteps) + " steps";
    return nullptr;
  }
  const Chain chain(op);
  KernelSpec spec{.scratch_bytes = chain.scratch_bytes()};
  spec.run = [=](const KernelArguments& arguments) {
    chain.spread(arguments);
    parallel_blocks(threads, chain.elements(), kElementBlock, [&](std::int64_t begin, std::int64_t n) {
      for (std::int64_t at = begin; at < begin + n; at += kChainBlock)
        chain.run(arguments, at, std::min(kChainBlock, begin + n - at));
    });
  };
  const std::vector<bool> per_channel = per_channel_inputs(attributes, op.inputs.size());
  for (std::size_t i = 0; i < op.inputs.size(); ++i)
    for (std::size_t o = 0; o < op.outputs.size(); ++o)
      if (!per_channel[i] && size_of(op.inputs[i].dtype) == size_of(op.outputs[o].dtype))
        spec.in_place.emplace_back(static_cast<int>(i), static_cast<int>(o));
  return make_vector_kernel(std::move(spec));
}

}  // namespace convoy::cpu
