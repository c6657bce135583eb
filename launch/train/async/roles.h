#pragma once
// Who does what in an asynchronous run: servers are the first ranks, or every rank is a server and works too.
#include <string>
#include <vector>

#include "launch/config.h"

namespace convoy {

/// Options of an asynchronous run, or of a synchronous one with backup workers, which are the same machine.
struct AsyncOptions {
  bool colocated = true;
  int servers = 0;                 // where not colocated
  int fetch_every = 1, push_every = 1;
  std::int64_t max_gap = -1;       // -1: none
  int backup = 0;
  bool ahead = true;
  bool scales_by_staleness = false;
  double compensation = 0;
  bool rounds() const { return max_gap == 0; }
};
/// Whether --mode, or --backup-workers, asks for parameter servers.
bool is_async(const Config& config);
/// Throws UsageError for what does not go together.
AsyncOptions async_options(const Config& config);

struct Roles {
  std::vector<int> servers;        // ranks, by server
  std::vector<int> worker_ranks;   // by worker
  bool is_server(int rank) const;
  /// Workers of a rank, by their numbers.
  std::vector<int> workers_of(int rank) const;
  /// Ranks that this one exchanges frames with.
  std::vector<int> peers_of(int rank) const;
};
/// `threads`: of each rank, as many workers has it if it works. UsageError where nobody works.
Roles roles_of(const AsyncOptions& options, const std::vector<int>& threads);

}  // namespace convoy
