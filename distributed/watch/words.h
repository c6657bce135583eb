#pragma once
// The sentences about ranks that do not answer: who, doing what, since when, and who waits for it.
#include <chrono>
#include <string>

#include "distributed/watch/judge.h"

namespace convoy {

/// "step 9, compute: conv1 convolution for 31 s (worker 1)": what the rank does, by its newest beat, as if it went on since.
std::string what_it_does(const Roll& roll, int rank);

/// "0.4 s ago it was in step 9, compute: conv1 convolution for 0.1 s (worker 1)": the same for a rank that has ended.
std::string what_it_did(const Roll& roll, int rank);

/// "ranks 0, 2 wait for it in gradient bucket 0 of step 9, since 9.8 s"; "nobody waits for it yet".
std::string who_waits(const Roll& roll, int rank);

/// One sentence for a run that ends: who, what happened to it, where it was, who waits in what.
std::string verdict_text(const Roll& roll, const Suspicion& suspicion);

/// One sentence for a run that goes on. `deadline`: of each wait.
std::string late_text(const Roll& roll, const std::vector<Stall>& stalls, std::chrono::milliseconds deadline);

/// What is known of the rank that a peer has waited for in vain, or of the one that it in turn waits for; for the end of
/// that peer's message. `rank` becomes the one to blame.
std::string explanation(const Roll& roll, const WatchOptions& options, int& rank);

}  // namespace convoy
