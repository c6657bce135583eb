#include "launch/train/modes.h"

#include "distributed/reduction.h"

namespace convoy {

bool LocalRule::averages_after(std::int64_t steps) const {
  if (steps <= first_step) return false;
  const bool ends_epoch = steps * batch / samples > (steps - 1) * batch / samples;
  return ends_epoch || (steps - first_step) % average_every == 0;
}

std::pair<int, int> leaves_of_replica(int replica, int replicas, int virtual_workers) {
  return share_of(replica, replicas, 0, virtual_workers);
}

std::pair<int, int> leaves_of_rank(Mode mode, const LocalRule& local, int rank, int ranks, int virtual_workers) {
  if (mode == Mode::model && ranks > 1) return share_of(rank / 2, ranks / 2, 0, virtual_workers);
  if (mode != Mode::local) return share_of(rank, ranks, 0, virtual_workers);
  const auto [first, last] = share_of(rank, ranks, 0, local.replicas);
  return {leaves_of_replica(first, local.replicas, virtual_workers).first,
          leaves_of_replica(last - 1, local.replicas, virtual_workers).second};
}

}  // namespace convoy
