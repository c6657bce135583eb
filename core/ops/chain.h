#pragma once
// Chains of element-wise ops (attributes.h): what every backend asks of their steps.
#include <string_view>
#include <vector>

#include "core/ops/attributes.h"

namespace convoy {

/// The longest chains: what a thread of a device keeps in registers.
inline constexpr int kMostChainInputs = 6, kMostChainSteps = 6, kMostChainOutputs = 3;

/// The name of the op that a step stands for.
std::string_view name_of(ChainStep::Function function);

inline bool takes_channels(ChainStep::Function function) {
  return function == ChainStep::Function::add_channels || function == ChainStep::Function::multiply_channels;
}
inline bool takes_two(ChainStep::Function function) {
  return function != ChainStep::Function::activation && function != ChainStep::Function::cast;
}

/// Which of the inputs hold one number per channel; the others are of the chain's shape.
std::vector<bool> per_channel_inputs(const ChainAttributes& chain, std::size_t inputs);

}  // namespace convoy
