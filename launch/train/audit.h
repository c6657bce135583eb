#pragma once
// Parameters audited across ranks: every rank applies the same updates to the same bits, so that all tensors must be
// equal everywhere, always. One that is not was changed by a fault of memory, processor or wire, and every gradient that
// its rank has summed since was wrong.
#include <string>
#include <vector>

#include "distributed/communicator.h"
#include "launch/train/model_state.h"

namespace convoy {

/// A tensor of which one rank's copy differs.
struct AuditFinding {
  std::string tensor;              // "parameters/conv1/filters"
  std::vector<int> ranks;          // that differ from the majority; all of them where there is none
  int majority = -1;               // the lowest rank of more than half that agree; -1: none
};

/// Collective: the same findings on every rank. Costs one CRC-32C pass over the tensors and one exchange of 16 bytes
/// where all is well.
std::vector<AuditFinding> audit_state(const ModelState& state, Communicator& world, std::int64_t step);

/// "step 80: parameters/conv1/filters differs on rank 1 from the 2 other ranks"
std::string sentence_of(const AuditFinding& finding, int ranks);

/// Collective: copies each tensor from its majority. False where one has none: nothing is copied then.
bool repair_by_majority(ModelState& state, const std::vector<AuditFinding>& findings, Communicator& world,
                        std::int64_t step);

}  // namespace convoy
