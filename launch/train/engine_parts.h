#pragma once
// What the engines share.
#include <memory>
#include <vector>

#include "launch/train/step_engine.h"

namespace convoy {

std::unique_ptr<StepEngine> make_host_engine(const TrainingGraph& training, const UpdateGraph& update,
                                             const Backend& backend, StateMemory& memory, const EngineOptions& options);
std::unique_ptr<StepEngine> make_local_engine(const TrainingGraph& training, const UpdateGraph& update,
                                              const Backend& backend, StateMemory& memory, const EngineOptions& options);
std::unique_ptr<StepEngine> make_tower_engine(const TrainingGraph& training, const Backend& backend, StateMemory& memory,
                                              const EngineOptions& options);
std::unique_ptr<StepEngine> make_device_engine(const TrainingGraph& training, const UpdateGraph& update,
                                               const Backend& backend, StateMemory& memory, const EngineOptions& options);

/// Binds the program's parameters, states and constants.
void bind_state(Program& program, const StateMemory& memory);
/// The update program's scalars, parameters, slots and states.
void bind_update_state(Program& program, const UpdateGraph& update, const StateMemory& memory, void* scalars);
/// All that the update program reads of the reduction. `roots`: the reduced buckets, which it only reads.
void bind_update_sums(Program& program, const UpdateGraph& update, const TrainingGraph& training,
                      const std::vector<float*>& roots);

/// What of the scalars [kStepScalars] lives on.
KeptScalars kept_in(const double* scalars);
void keep_in(double* scalars, const KeptScalars& kept);

/// Counts the samples of a micro-batch in the ledgers of their epochs.
void note_samples(const MicroBatch& batch, std::vector<EpochLedger>& ledgers);
void add_to(std::vector<EpochLedger>& ledgers, const EpochLedger& part);

}  // namespace convoy
