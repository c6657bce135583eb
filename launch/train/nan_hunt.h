#pragma once
// Where a step first gave a value that is not finite: found by running the step once more, from the same parameters and
// samples, with every op's outputs looked at.
#include <string>

#include "distributed/communicator.h"
#include "io/dataset.h"
#include "launch/train/model_state.h"
#include "launch/train/step_engine.h"

namespace convoy {

/// Collective, before anything of the step was applied. `step`: counted from 0, as the loader does; `loader` delivers
/// it anew. One sentence, the same on every rank: which op of which layer, and the sample in whose row it stands (the
/// first micro-batch in the order of the stream, wherever it was computed).
std::string find_not_finite(StepEngine& engine, const ModelState& state, const Dataset& data, Loader& loader,
                            Communicator& world, std::int64_t step);

}  // namespace convoy
