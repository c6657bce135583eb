#pragma once
// What a rank that does not answer left in its flight recorder's file, for the live watch.
#include <filesystem>

#include "distributed/watch/watch.h"

namespace convoy {

/// Reads RUN/watch/rank-N.ring of `run_folder`; nothing where there is none, or where it is damaged.
RecallLastWords recall_from(const std::filesystem::path& run_folder);

}  // namespace convoy
