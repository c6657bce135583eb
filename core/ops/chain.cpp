// Runs of element-wise ops as one. Attributes: ChainAttributes. Cost: bytes of inputs and outputs only; what the steps hand to
// each other stays in registers.
#include "core/ops/chain.h"

#include "core/ops/families.h"

namespace convoy {

std::string_view name_of(ChainStep::Function function) {
  using Function = ChainStep::Function;
  switch (function) {
    case Function::activation: return "activation";
    case Function::activation_backward: return "activation_backward";
    case Function::add: return "add";
    case Function::multiply: return "multiply";
    case Function::add_channels: return "add_channels";
    case Function::multiply_channels: return "multiply_channels";
    case Function::cast: return "cast";
  }
  return "unknown";
}

std::vector<bool> per_channel_inputs(const ChainAttributes& chain, std::size_t inputs) {
  std::vector<bool> per_channel(inputs, false);
  for (const ChainStep& step : chain.steps)
    if (takes_channels(step.function)) per_channel.at(static_cast<std::size_t>(step.b)) = true;
  return per_channel;
}

namespace ops {
namespace {

constexpr std::string_view kOp = "elementwise_chain";

void require_steps(const ChainAttributes& a, int inputs) {
  require(!a.steps.empty() && !a.outputs.empty(), kOp, "needs steps and outputs, but has {} and {}", a.steps.size(),
          a.outputs.size());
  const int count = static_cast<int>(a.steps.size());
  for (int s = 0; s < count; ++s) {
    const ChainStep& step = a.steps[static_cast<std::size_t>(s)];
    const int registers = inputs + s;
    require(step.a >= 0 && step.a < registers && step.b >= 0 && step.b < registers, kOp,
            "step {} works on registers {} and {}, but has {} before it", s, step.a, step.b, registers);
    require(!takes_channels(step.function) || step.b < inputs, kOp,
            "step {} takes one number per channel from register {}, which is no input", s, step.b);
    require(is_floating(step.type), kOp, "step {} must lead to a real type, not to {}", s, name_of(step.type));
  }
  for (const int output : a.outputs)
    require(output >= 0 && output < count, kOp, "gives the result of step {}, but has {} steps", output, count);
}

}  // namespace

/// Values of one shape and real types, numbers per channel [c] -> one value for each of the steps that `outputs` lists.
Outputs infer_elementwise_chain(const Attributes& attributes, Inputs in) {
  const auto& a = as<ChainAttributes>(kOp, attributes);
  require(!in.empty(), kOp, "takes one or more inputs, but none were given");
  require_steps(a, static_cast<int>(in.size()));
  const std::vector<bool> per_channel = per_channel_inputs(a, in.size());
  const Shape* shape = nullptr;
  for (std::size_t i = 0; i < in.size(); ++i) {
    require(is_floating(in[i].dtype), kOp, "works on reals, but input {} is {}", i, name_of(in[i].dtype));
    if (per_channel[i]) continue;
    if (shape == nullptr) shape = &in[i].shape;
    require_shape(kOp, fmt::format("input {}", i), in[i].shape, *shape);
  }
  require(shape != nullptr && shape->rank() > 0, kOp, "needs an input that is not per channel");
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (!per_channel[i]) continue;
    require_shape(kOp, fmt::format("input {}", i), in[i].shape, {(*shape)[-1]});
    require_wide(kOp, fmt::format("input {}", i), in[i]);
  }
  for (const ChainStep& step : a.steps)
    require(step.a >= static_cast<int>(in.size()) || !per_channel[static_cast<std::size_t>(step.a)], kOp,
            "{} takes input {} both per channel and element by element", name_of(step.function), step.a);
  Outputs outputs;
  for (const int output : a.outputs) outputs.push_back({*shape, a.steps[static_cast<std::size_t>(output)].type});
  return outputs;
}

}  // namespace ops
}  // namespace convoy
