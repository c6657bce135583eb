#pragma once
// The numbers that change from step to step. Update ops read them from memory, so that no program is rebuilt
// for them.

namespace convoy {

/// Places in the input "scalars", f64 [kStepScalars], of the update program; the rest is reserved and 0.
enum StepScalar {
  kLearningRate,
  kTotalWeight,  // sum of the sample weights of the batch; gradients of the sum are divided by it
  kStepScalars = 4
};

}  // namespace convoy
