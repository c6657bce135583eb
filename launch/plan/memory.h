#pragma once
// The memory of one rank of a run, before it runs.
#include <cstddef>

#include "core/graph/program.h"
#include "core/models/training.h"
#include "core/optim/update_program.h"
#include "launch/train/run_spec.h"

namespace convoy {

/// Bytes that one rank takes, by what they are for.
struct MemoryOfRank {
  std::size_t arena = 0, scratch = 0, leaves = 0, reduction = 0, parameters = 0, slots = 0, state = 0, samples = 0;
  /// What StepEngine::memory_bytes() of the run says: all but the samples that are read ahead.
  std::size_t booked() const { return arena + scratch + leaves + reduction + parameters + slots + state; }
  std::size_t total() const { return booked() + samples; }
};

/// Who computes what.
struct RankShare {
  int rank = 0, ranks = 1;
  int threads = 1;                 // of the rank, each with a program of its own
  bool on_device = false;          // sums and exchanges of GPUs
};

/// `program`: of one micro-batch.
MemoryOfRank memory_of_rank(const RunSpec& spec, ReductionKind reduction, const TrainingGraph& training,
                            const UpdateGraph& update, const Program& program, const RankShare& share);

}  // namespace convoy
