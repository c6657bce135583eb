#include "launch/check_mode.h"

#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "core/tensor/error.h"
#include "launch/option_uses.h"

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

void check_ranks_of_replicas(const Config& config, int ranks) {
  const int replicas = config.get<int>("replicas");
  if (ranks <= replicas) return;
  throw UsageError(fmt::format("{} ranks, but replicas = {}: a rank without a replica has nothing to do. Start at most {} ranks, or "
                               "(another run, other bits) set replicas to at least {}",
                               ranks, replicas, replicas, ranks));
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
  check_uses(config, "mode", {{"replicas", {"local"}}, {"average-every", {"local"}}, {"local-from", {"local"}}});
  if (config.get<std::string>("mode") == "local") check_local(config);
}

void check_ranks(const Config& config, int ranks) {
  if (config.get<std::string>("mode") == "local") return check_ranks_of_replicas(config, ranks);
  check_ranks_of_micro_batches(config, ranks);
}

}  // namespace convoy
