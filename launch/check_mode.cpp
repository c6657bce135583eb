#include "launch/check_mode.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "core/graph/place_towers.h"
#include "core/models/registry.h"
#include "core/tensor/error.h"
#include "launch/option_uses.h"
#include "launch/options.h"
#include "launch/train/async/async_options.h"

namespace convoy {
namespace {

void check_local(const Config& config) {
  const int replicas = config.get<int>("replicas"), workers = config.get<int>("virtual-workers");
  if (replicas == 0)
    throw UsageError(fmt::format("mode = local needs replicas, the number of models that train apart: 1 to virtual-workers = {}",
                                 workers));
  if (replicas > workers)
    throw UsageError(fmt::format("replicas = {}, but virtual-workers = {}: a replica without a micro-batch has nothing to learn "
                                 "from. The nearest legal values are replicas = {}, or virtual-workers = a divisor of train.batch "
                                 "= {} that is at least {}",
                                 replicas, workers, workers, config.get<std::int64_t>("train.batch"), replicas));
  if (config.get<std::string>("model.batch-norm") == "global")
    throw UsageError("model.batch-norm = global normalises over the whole batch, but the replicas of mode = local do not meet "
                     "within a step; give model.batch-norm = micro-batch");
}

void check_model_parallel(const Config& config) {
  if (config.get<std::string>("model.batch-norm") == "global")
    throw UsageError("model.batch-norm = global normalises over the whole batch within a step, which mode = model does not; give "
                     "model.batch-norm = micro-batch");
  if (config.get<double>("optim.clip-norm") > 0)
    throw UsageError("optim.clip-norm needs the norm of all gradients, but each rank of mode = model has those of its tower; give "
                     "optim.clip-value, or mode = sync");
}

void check_ranks_of_towers(const Config& config, int ranks) {
  const int workers = config.get<int>("virtual-workers");
  if (ranks == 1 || (ranks % 2 == 0 && ranks / 2 <= workers)) return;
  const int below = std::min(ranks - 1, 2 * workers), above = ranks + 1;
  throw UsageError(fmt::format("{} ranks, but mode = model has two towers, a rank for each of every pair, and at most "
                               "virtual-workers = {} pairs: start {} ranks{}, or one",
                               ranks, workers, below, above <= 2 * workers ? fmt::format(" or {}", above) : ""));
}

void check_ranks_of_replicas(const Config& config, int ranks) {
  const int replicas = config.get<int>("replicas");
  if (ranks <= replicas) return;
  throw UsageError(fmt::format("{} ranks, but replicas = {}: a rank without a replica has nothing to do. Start at most {} ranks, or "
                               "(another run, other bits) set replicas to at least {}",
                               ranks, replicas, replicas, ranks));
}

void check_ranks_of_servers(const Config& config, int ranks) {
  const AsyncOptions options = async_options(config);
  const bool replays = find_option(config.command(), "replay") && !config.get<std::string>("replay").empty();  // servers are one
  if (replays || options.colocated || options.servers < ranks) return;
  throw UsageError(fmt::format("servers = {} of {} rank{} leaves no worker; start at least {} ranks, or say --servers=colocated",
                               options.servers, ranks, ranks == 1 ? "" : "s", options.servers + 1));
}

void check_ranks_of_micro_batches(const Config& config, int ranks) {
  const int workers = config.get<int>("virtual-workers");
  if (ranks <= workers) return;
  throw UsageError(fmt::format(
      "{} ranks, but virtual-workers = {}: a rank without a micro-batch has nothing to do. Start at most {} "
      "ranks, or "
      "(another run, other bits) set virtual-workers to a divisor of train.batch = {} that is at least {}",
      ranks, workers, workers, config.get<std::int64_t>("train.batch"), ranks));
}

}  // namespace

void check_mode(const Config& config) {
  if (config.get<std::string>("mode") == "ensemble") return;  // its members' configs are looked at
  check_uses(config, "mode", {{"replicas", {"local"}}, {"local-from", {"local"}}});
  if (config.command() != "plan") check_uses(config, "mode", {{"average-every", {"local"}}});  // plan forecasts every mode
  const auto mode = config.get<std::string>("mode");
  if (mode == "local") check_local(config);
  if (mode == "model") check_model_parallel(config);
}

void check_towers(const Config& config, const Graph& training) {
  if (config.get<std::string>("mode") != "model" || count_towers(training) == 2) return;
  std::string names;
  for (const ModelEntry& model : models())
    for (const ModelOption& option : model.options)
      if (option.name == "towers") names += fmt::format("{}{}", names.empty() ? "" : ", ", model.name);
  throw UsageError(fmt::format("mode = model puts each of two towers of a network on a rank, but {} has {}; networks of two towers: {} "
                               "(with model.towers = 2)",
                               config.get<std::string>("model.name"),
                               count_towers(training) == 0 ? "none" : std::to_string(count_towers(training)), names));
}

void check_ranks(const Config& config, int ranks) {
  if (is_async(config)) return check_ranks_of_servers(config, ranks);
  const auto mode = config.get<std::string>("mode");
  if (mode == "local") return check_ranks_of_replicas(config, ranks);
  if (mode == "model") return check_ranks_of_towers(config, ranks);
  check_ranks_of_micro_batches(config, ranks);
}

}  // namespace convoy
