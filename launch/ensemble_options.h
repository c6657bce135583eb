#pragma once
// --mode=ensemble: what its options make of the config of every member.
#include <string>
#include <vector>

#include "launch/config.h"

namespace convoy {

/// A model of an ensemble: it is trained as a plain run with this config would be, to the same bits.
struct Member {
  int number = 1;    // as users count
  std::string name;  // of its folder: "01"
  Config config;     // run: 01 of runs: RUNS/RUN/members; --member-mode; its own seeds and overrides
};

/// --member-seeds: member k has the seeds of the config plus k - 1: all four, or (order) all but seed.init, so that members begin
/// with the same weights and see other samples (Szegedy et al. 2015, section 7). --member-overrides comes last. Throws UsageError
/// for overrides that cannot be.
std::vector<Member> members_of(const Config& config);

/// Throws UsageError for what does not fit together: members' options without --mode=ensemble, and whatever `check` finds wrong
/// with the config of a member.
void check_ensemble(const Config& config, void (*check)(const Config&));

}  // namespace convoy
