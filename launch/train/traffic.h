#pragma once
// What ranks send each other while they train.
#include <cstdint>
#include <string>

#include "distributed/communicator.h"

namespace convoy {

/// What a rank has sent since its engine was made, and how long its steps and their exposed communication took.
struct Traffic {
  std::int64_t gradients = 0;      // bytes
  std::int64_t averages = 0;       // of states (Mode::local)
  std::int64_t sums = 0;           // of losses and counts, where they travel alone
  std::int64_t activations = 0;    // and their gradients, between towers (Mode::model)
  double waited_seconds = 0, seconds = 0;
};

/// Collective: of all ranks.
Traffic sum_over_ranks(const Traffic& own, Communicator& world, std::int64_t step);

/// "15.1 MB sent by 2 ranks (averages 15 MB, losses 4.6 kB), 313.6 kB a rank and step; 11.6 % of the steps' time was spent
/// waiting for it". `steps`: that each of the ranks did.
std::string sentence_of(const Traffic& all, int ranks, std::int64_t steps);

}  // namespace convoy
