#pragma once
// Numbers that change from step to step and travel to the update kernels through memory, so that a program is never
// rebuilt for them.

namespace convoy {

/// Places in the f64 array `scalars` that sgd_update reads.
enum StepScalar { kLearningRate = 0, kTotalWeight = 1, kStepScalars = 4 };

}  // namespace convoy
