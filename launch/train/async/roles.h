#pragma once
// Who does what in an asynchronous run: servers are the first ranks, or every rank is a server and works too.
#include <vector>

#include "launch/train/async/async_options.h"

namespace convoy {

struct Roles {
  std::vector<int> servers;        // ranks, by server
  std::vector<int> worker_ranks;   // by worker
  bool is_server(int rank) const;
  /// Workers of a rank, by their numbers.
  std::vector<int> workers_of(int rank) const;
  /// Ranks that this one exchanges frames with.
  std::vector<int> peers_of(int rank) const;
};
/// `threads`: of each rank, as many workers has it if it works. Checked before (check_ranks).
Roles roles_of(const AsyncOptions& options, const std::vector<int>& threads);

}  // namespace convoy
