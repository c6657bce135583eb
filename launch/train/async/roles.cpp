#include "launch/train/async/roles.h"

#include <algorithm>
#include <numeric>

namespace convoy {

bool Roles::is_server(int rank) const { return std::ranges::find(servers, rank) != servers.end(); }

std::vector<int> Roles::workers_of(int rank) const {
  std::vector<int> workers;
  for (std::size_t worker = 0; worker < worker_ranks.size(); ++worker)
    if (worker_ranks[worker] == rank) workers.push_back(static_cast<int>(worker));
  return workers;
}

std::vector<int> Roles::peers_of(int rank) const {
  std::vector<int> peers = servers;  // rank 0 is server 0
  if (is_server(rank)) peers.insert(peers.end(), worker_ranks.begin(), worker_ranks.end());
  std::ranges::sort(peers);
  const auto rest = std::ranges::unique(peers);
  peers.erase(rest.begin(), rest.end());
  return peers;
}

Roles roles_of(const AsyncOptions& options, const std::vector<int>& threads) {
  const int ranks = static_cast<int>(threads.size());
  Roles roles;
  roles.servers.resize(static_cast<std::size_t>(options.colocated ? ranks : std::min(options.servers, ranks)));
  std::iota(roles.servers.begin(), roles.servers.end(), 0);
  for (int rank = options.colocated ? 0 : options.servers; rank < ranks; ++rank)
    roles.worker_ranks.insert(roles.worker_ranks.end(), static_cast<std::size_t>(threads[static_cast<std::size_t>(rank)]), rank);
  return roles;
}

}  // namespace convoy
