#pragma once
// The tensors of a run that live from step to step: parameters, optimizer slots, batch-norm state, and the constants
// of the model. One copy per rank; the threads' programs share it.
#include <map>
#include <string>

#include "core/graph/graph.h"
#include "core/optim/update_program.h"
#include "distributed/communicator.h"
#include "io/checkpoint.h"

namespace convoy {

struct ModelState {
  std::map<std::string, Tensor> parameters;
  std::map<std::string, Tensor> slots;       // of the optimizer: "momentum/NAME"
  std::map<std::string, Tensor> state;       // running statistics
  std::map<std::string, Tensor> averages;    // of parameters and running statistics, by their names; where the run keeps them
  std::map<std::string, Tensor> constants;   // a pure function of the seed; never stored
  std::map<std::string, Tensor> copies;      // of parameters and constants in bf16 or f16, for mixed precision; never stored
};

/// First values: computed on rank 0 and broadcast (design: section 4, Randomness).
ModelState initial_state(const Graph& graph, const UpdateGraph& update, std::uint64_t seed, Communicator& world);

/// The averages become what they are averages of, as a run begins with them.
void begin_averages(ModelState& state);

/// Constants and zeroed tensors of the right shapes, to be filled from a checkpoint.
ModelState state_for_inference(const Graph& graph, std::uint64_t seed);

/// Rounds the parameters and constants anew wherever there are copies of them: to be called when a value has changed but by
/// the update program, which keeps the copies itself. What follows below does so.
void refresh_copies(ModelState& state);

/// Copies a checkpoint's tensors in. Throws DataError that names the first tensor that is missing, superfluous or of
/// another shape. `with_optimizer`: the slots and averages too.
void restore(ModelState& state, const Checkpoint& checkpoint, bool with_optimizer, const std::string& file);

/// The averages take the places of what they are averages of. Throws UsageError naming the file where there are none.
void take_averages(ModelState& state, const Checkpoint& checkpoint, const std::string& file);

/// Rank 0's parameters, slots, state and averages to everybody.
void broadcast_state(ModelState& state, Communicator& world);

/// Copies parameters, slots, running statistics and averages of the same model; the tensors keep their memory.
void copy_values(ModelState& into, const ModelState& from);

/// Puts the tensors into a checkpoint; they share storage with the state, which must not change until it is written.
void store(const ModelState& state, Checkpoint& checkpoint);

/// Whether the values of a role lie in the state: parameter, state, constant, copy.
bool lies_in_state(Role role);

/// Memory of such a value.
void* memory_of(ModelState& state, const ValueInfo& value);

}  // namespace convoy
