#pragma once
// The numbers that change from step to step. Update ops read them from memory, so that no program is rebuilt
// for them.

namespace convoy {

/// Places in the input "scalars", f64 [kStepScalars], of the update program. Whoever runs it sets the first kHostScalars
/// before each step; the op step_guard sets the others, and keeps those below from step to step.
enum StepScalar {
  kLearningRate,
  kWanted,       // 0: the step is on the list of skipped ones
  kHostScalars,
  kDivisor = kHostScalars,  // sum of the sample weights of the batch, times the loss scale: gradients are divided by it.
                            // The op clip_norm then raises it
  kFinite,       // 1 if all that was reduced is finite
  kApply,        // 1: this step's updates happen; 0: they change nothing
  // kept:
  kLossScale,    // of the next step; 1 without loss scaling
  kGoodSteps,    // since the loss scale last changed
  kHalted,       // 1: a step was not finite and no later one is applied until the host has dealt with it
  kUpdates,      // updates that were applied, this step's included
  kLossScaleFloat,  // kLossScale once more, as an f32 in the first half of this place: the micro-batch program reads it
  kStepScalars
};

}  // namespace convoy
