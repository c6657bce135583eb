#include "launch/train/async/roles.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "core/tensor/error.h"

namespace convoy {
namespace {

/// A word that means `otherwise`, or a whole number of at least `least`.
std::int64_t number_or(const Config& config, const char* option, std::string_view word, std::int64_t otherwise, std::int64_t least) {
  const auto text = config.get<std::string>(option);
  if (text == word) return otherwise;
  std::int64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || rest != text.data() + text.size() || value < least || value > 1'000'000)
    throw UsageError(fmt::format("{} = {}: expected '{}', or a whole number of at least {}", option, text, word, least));
  return value;
}

}  // namespace

bool is_async(const Config& config) {
  return config.get<std::string>("mode") == "async" || config.get<int>("backup-workers") > 0;
}

AsyncOptions async_options(const Config& config) {
  AsyncOptions options;
  const std::int64_t servers = number_or(config, "servers", "colocated", 0, 1);
  options.colocated = servers == 0;
  options.servers = static_cast<int>(servers);
  options.fetch_every = config.get<int>("fetch-every");
  options.push_every = config.get<int>("push-every");
  options.max_gap = number_or(config, "max-clock-gap", "none", -1, 0);
  options.backup = config.get<int>("backup-workers");
  options.ahead = config.get<std::string>("pull") == "ahead";
  options.scales_by_staleness = config.get<std::string>("staleness-scaling") == "inverse";
  options.compensation = config.get<double>("delay-compensation");
  if (options.compensation > 0 && options.fetch_every > 1)
    throw UsageError("delay-compensation corrects by the parameters that a gradient was computed with, which with fetch-every above 1 "
                     "only the worker knows; give up one of the two");
  if (config.get<std::string>("mode") == "sync") options.max_gap = 0;  // with backup workers
  if (!options.rounds()) return options;
  options.ahead = false;  // nobody may take two micro-batches of a round while another has none
  const auto refuse = [](const char* option, const std::string& value, const char* why) {
    throw UsageError(fmt::format("{} = {} has no meaning in rounds (max-clock-gap = 0, backup workers): {}", option, value, why));
  };
  if (options.fetch_every > 1) refuse("fetch-every", config.get<std::string>("fetch-every"), "every micro-batch of a step has the same parameters");
  if (options.push_every > 1) refuse("push-every", config.get<std::string>("push-every"), "every micro-batch is a leaf of the sum");
  if (options.scales_by_staleness) refuse("staleness-scaling", "inverse", "no gradient is stale");
  if (options.compensation > 0) refuse("delay-compensation", config.get<std::string>("delay-compensation"), "no gradient is stale");
  return options;
}

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
  if (!options.colocated && options.servers >= ranks)
    throw UsageError(fmt::format("servers = {} of {} rank{} leaves no worker; start at least {} ranks, or say --servers=colocated",
                                 options.servers, ranks, ranks == 1 ? "" : "s", options.servers + 1));
  for (int rank = options.colocated ? 0 : options.servers; rank < ranks; ++rank)
    roles.worker_ranks.insert(roles.worker_ranks.end(), static_cast<std::size_t>(threads[static_cast<std::size_t>(rank)]), rank);
  return roles;
}

}  // namespace convoy
