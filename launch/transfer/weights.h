#pragma once
// Parameters and running statistics to and from the safetensors format.
#include <string>

#include "io/safetensors.h"
#include "launch/train/model_state.h"
#include "launch/transfer/twin.h"

namespace convoy {

/// Under torchvision's names where it has the network, else under ours; in PyTorch's layout. Batch norms of a twin have the
/// count of `batches` that its state_dict wants. The metadata name model, options and whose names they are.
Safetensors weights_of(const ModelState& state, const Task& task, const Graph& graph, std::int64_t batches);

/// Fills the state of the same graph. Throws DataError, naming `file` and the tensor, for one that is missing, superfluous, of
/// another shape or no real numbers, and where the metadata speak of another network.
void take_weights(const Safetensors& content, const Task& task, const Graph& graph, const std::string& file, ModelState& state);

/// Outputs of the network whose weights these are, by its last dense layer; 0 where it is not in the file.
std::int64_t classes_in(const Safetensors& content, const Task& task, const Graph& graph);

}  // namespace convoy
