#include "core/ops/chain.h"

#include "core/backend/reference/kernels.h"

namespace convoy::reference {
namespace {

double result_of(const ChainStep& step, double a, double b) {
  using Function = ChainStep::Function;
  switch (step.function) {
    case Function::activation: return activate(step.activation.kind, a, step.activation.slope);
    case Function::activation_backward: return b * derivative(step.activation.kind, step.activation.slope, a);
    case Function::add:
    case Function::add_channels: return a + b;
    case Function::multiply:
    case Function::multiply_channels: return a * b;
    case Function::cast: return a;  // every real type is double here
  }
  return a;
}

}  // namespace

/// Element by element: the inputs, then each step on the registers before it.
void elementwise_chain(const OpDesc& op, const KernelArguments& arguments) {
  const auto& chain = attributes<ChainAttributes>(op);
  const std::vector<bool> per_channel = per_channel_inputs(chain, op.inputs.size());
  const std::int64_t C = op.outputs[0].shape[-1];
  for (std::int64_t i = 0; i < op.outputs[0].shape.elements(); ++i) {
    std::vector<double> registers;
    for (std::size_t k = 0; k < op.inputs.size(); ++k) registers.push_back(in(arguments, k)[per_channel[k] ? i % C : i]);
    for (const ChainStep& step : chain.steps)
      registers.push_back(result_of(step, registers[static_cast<std::size_t>(step.a)], registers[static_cast<std::size_t>(step.b)]));
    for (std::size_t o = 0; o < chain.outputs.size(); ++o)
      if (double* y = out(arguments, o)) y[i] = registers[op.inputs.size() + static_cast<std::size_t>(chain.outputs[o])];
  }
}

}  // namespace convoy::reference
