#pragma once
// Ranks agree before they part.
#include <string>
#include <string_view>

#include "distributed/communicator.h"

namespace convoy {

/// Collective. Every rank must hold the same `text` (several lines), or every rank throws the same UsageError,
/// which names the first rank that differs from rank 0, and the first line in which it does. `name`: what the
/// text is, for the message: "the config".
void check_agreement(Communicator& communicator, std::string_view name, const std::string& text);

}  // namespace convoy
