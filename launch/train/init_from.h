#pragma once
// --init-from: a run that begins with what another one has learned.
#include <string>
#include <vector>

#include "launch/train/model_state.h"

namespace convoy {

/// Parameters and running statistics of the layers that were asked for, by name.
struct InitReport {
  std::vector<std::string> taken;
  std::vector<std::string> absent;    // not in the checkpoint
  std::vector<std::string> reshaped;  // of another shape or type there: "fc/weights float32 [10, 84] (here float32 [100, 84])"
};

/// Copies what the checkpoint holds for layers that match one of the patterns; all else keeps its first values. Throws UsageError
/// naming the file where nothing fits.
InitReport take_values(ModelState& state, const Checkpoint& checkpoint, const std::vector<std::string>& patterns,
                       const std::string& file);

/// "12 of 14 tensors from FILE; of another shape, and so left at their first values: fc/weights ..., fc/bias ..."
std::string sentence_of(const InitReport& report, const std::string& file);

}  // namespace convoy
