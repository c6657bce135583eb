// Chains as the fuse pass makes them: each function, one and several outputs, inputs read twice, per channel, in other types.
#include <fmt/format.h>

#include "core/backend/parity_cases.h"

namespace convoy::test {
namespace {

using Function = ChainStep::Function;

ChainStep step(Function function, int a, int b = 0, DType type = DType::f32) {
  return {.function = function, .a = a, .b = b, .type = type};
}
ChainStep activate(ActivationKind kind, int a) { return {.function = Function::activation, .activation = {kind}, .a = a}; }
ChainStep activate_backward(ActivationKind kind, int y, int dy) {
  return {.function = Function::activation_backward, .activation = {kind}, .a = y, .b = dy};
}

/// Registers of x, y, z are 0, 1, 2 where all are given.
ParityFamily chains_on(const Shape& shape) {
  const Tensor x = random_single(shape, 1), y = random_single(shape, 2), z = random_single(shape, 3);
  const Tensor g = random_single({shape[-1]}, 4), b = random_single({shape[-1]}, 5);
  const std::string name = fmt::format("shape {}", shape.str());
  ParityFamily family;
  const auto chain = [&](const char* about, ChainAttributes attributes, std::vector<Tensor> inputs) {
    family.push_back({fmt::format("{}, {}", name, about), OpKind::elementwise_chain, std::move(attributes), std::move(inputs), 16, {}});
  };
  chain("lenet-5's subsampling",
        {{step(Function::multiply_channels, 0, 1), step(Function::add_channels, 3, 2), activate(ActivationKind::scaled_tanh, 4)}, {2}},
        {x, g, b});
  chain("two gradients through a ReLU, both kept",
        {{step(Function::add, 1, 2), activate_backward(ActivationKind::relu, 0, 3)}, {0, 1}}, {x, y, z});
  chain("a gate on a value", {{activate(ActivationKind::sigmoid, 1), step(Function::multiply, 0, 2), step(Function::add, 0, 3)}, {0, 2}},
        {x, y});
  chain("between casts",
        {{step(Function::cast, 0, 0, DType::bf16), step(Function::multiply, 2, 1, DType::f16), step(Function::cast, 3)}, {1, 2}}, {x, y});
  chain("one input twice, one channel operand twice",
        {{step(Function::multiply, 0, 0), step(Function::add_channels, 2, 1), step(Function::multiply_channels, 3, 1)}, {2}}, {x, g});
  chain("six inputs, six steps, three outputs",
        {{step(Function::add, 0, 1), step(Function::add, 6, 2), activate(ActivationKind::tanh, 7),
          activate_backward(ActivationKind::tanh, 8, 3), step(Function::multiply, 9, 4), step(Function::add, 10, 5)},
         {1, 3, 5}},
        {x, y, z, y, x, z});
  chain("functions with a slope",
        {{{.function = Function::activation, .activation = {ActivationKind::leaky_relu, 0.25}, .a = 0},
          {.function = Function::activation_backward, .activation = {ActivationKind::elu, 1.5}, .a = 2, .b = 1},
          {.function = Function::activation, .activation = {ActivationKind::scale, -2}, .a = 3}}, {0, 2}}, {x, y});
  chain("a carry gate", {{activate(ActivationKind::complement, 0), step(Function::multiply, 2, 1), activate(ActivationKind::negative_part, 3)}, {2}},
        {x, y});
  for (const ActivationKind kind : {ActivationKind::sigmoid, ActivationKind::scaled_tanh})
    chain("a backward form of a rounded value", {{step(Function::add, 1, 2), activate_backward(kind, 0, 3)}, {1}}, {x, y, z});
  return family;
}

}  // namespace

std::vector<ParityFamily> chain_families() {
  std::vector<ParityFamily> families;
  // Fewer channels than an access takes, more than a block; a few elements beyond a whole number of blocks.
  for (const Shape& shape : {Shape{1, 1}, {3, 7}, {2, 5, 5, 6}, {2, 28, 28, 16}, {3, 2051}, {1, 3, 4, 5, 33}, {700, 3}, {8197}})
    families.push_back(chains_on(shape));
  return families;
}

}  // namespace convoy::test
