#pragma once
// Library plans that were chosen by timing (Backend::plans): every rank computes with the same, and a resumed run with
// those of its checkpoint, or the bits would differ.
#include <functional>
#include <string>

#include "core/backend/backend.h"
#include "distributed/communicator.h"
#include "io/checkpoint.h"

namespace convoy {

/// Collective. Runs `bind`, which binds programs and does not communicate, on every rank. On devices rank 0 binds first, to
/// `recorded` plans where there are any; the others adopt what it has chosen. A host has nothing to choose: all at once.
void bind_alike(Communicator& world, Backend& backend, const std::string& recorded, const std::function<void()>& bind);

/// The run record's entry: "backend.plans", absent where there are none.
void record_plans(const Backend& backend, RunRecord& record);
std::string recorded_plans(const RunRecord& record);
/// Makes the entry of `saved` that of `current` where `current` has all its plans and perhaps more: for programs that the
/// checkpoint's run did not have, like that of a validation.
void forgive_more_plans(RunRecord& saved, const RunRecord& current);

}  // namespace convoy
