#pragma once
// How ranks work together (design: section 5), as far as it decides who computes what and when the ranks have one model.
#include <cstdint>
#include <utility>

namespace convoy {

enum class Mode {
  sync,   // every rank applies the update of the whole batch
  local,  // replicas go their own ways and meet to be averaged
  model   // ranks 2p and 2p + 1 have a tower of the network each, and the same micro-batches; a lone rank has both
};

/// Local SGD (Stich 2019, "Local SGD converges fast and communicates little"; from a later step on: Lin et al. 2020, "Don't use
/// large mini-batches, use local SGD"). A run has `replicas` K whatever the number of ranks, and K <= V. From step
/// `first_step` on replica j takes micro-batches [jV/K, (j+1)V/K) of every batch and updates itself alone; every
/// `average_every` steps, and where an epoch ends, all of the model's state is averaged. Steps before are synchronous.
struct LocalRule {
  int replicas = 1;
  std::int64_t average_every = 1;
  std::int64_t first_step = 0;
  std::int64_t batch = 1, samples = 1;

  bool is_local(std::int64_t step) const { return step >= first_step; }  // counted from 0
  /// After so many steps.
  bool averages_after(std::int64_t steps) const;
  bool is_one_model_after(std::int64_t steps) const { return steps <= first_step || averages_after(steps); }
};

/// Micro-batches of replica j.
std::pair<int, int> leaves_of_replica(int replica, int replicas, int virtual_workers);
/// Micro-batches of a rank. `local`: Mode::local's alone.
std::pair<int, int> leaves_of_rank(Mode mode, const LocalRule& local, int rank, int ranks, int virtual_workers);

}  // namespace convoy
