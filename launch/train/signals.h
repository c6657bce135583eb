#pragma once
// Signals as the design's section 8 says: they are noted, never acted on in the handler; the ranks agree on the step
// through the reduction (workers.h).
#include <array>

namespace convoy {

/// SIGUSR1: checkpoint and go on. SIGUSR2, SIGTERM, SIGINT: checkpoint and end with status 75.
void watch_signals();

/// What the signals since the last call asked for: {checkpoint, stop} as 0 or 1. A stop stays asked for.
std::array<float, 2> take_asked();

/// As if a signal had asked for a stop. Any thread.
void ask_to_stop();
bool stop_is_asked();

}  // namespace convoy
