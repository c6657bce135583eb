#include "distributed/simulation/parameter_server.h"

#include <algorithm>
#include <cmath>

#include "core/random/philox.h"

namespace convoy::simulation {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

/// One round of one worker as tasks.
struct Round {
  TaskGraph::Task computed = TaskGraph::kNone;
  TaskGraph::Task applied = TaskGraph::kNone;  // on the first server, whose order of pushes measures staleness
  TaskGraph::Task pulled = TaskGraph::kNone;
};

class Rounds {
 public:
  Rounds(const Machine& machine, const ServerModel& model)
      : model_(model),
        fabric_(graph_, machine, layout_of(machine, model)),
        jitter_(model.seed, "simulated jitter"),
        rounds_(at(model.workers)) {
    for (int server = 0; server < model.servers; ++server) appliers_.push_back(graph_.add_resource());
    for (int worker = 0; worker < model.workers; ++worker) workers_.push_back(graph_.add_resource());
  }

  /// Workers start one after the other, spread over one round, as they will be once they have been at it for a while.
  void add_round(int worker, int round) {
    TaskGraph::Task before = TaskGraph::kNone;
    if (round == 0)
      before = graph_.add(model_.worker_seconds * worker / model_.workers);
    else
      before = rounds_[at(worker)].back().pulled;
    const std::uint64_t draw = static_cast<std::uint64_t>(round) * static_cast<std::uint64_t>(model_.workers) +
                               static_cast<std::uint64_t>(worker);
    const double factor = model_.jitter == 0 ? 1 : std::max(0.1, 1 + model_.jitter * jitter_.normal(draw));
    Round now;
    now.computed = graph_.add(factor * model_.worker_seconds, workers_[at(worker)]);
    graph_.after(now.computed, before);
    std::vector<TaskGraph::Task> pulls;
    for (int i = 0; i < model_.servers; ++i) {
      const int server = (worker + i) % model_.servers;  // not all begin with the same
      const TaskGraph::Task push = fabric_.send(worker, rank_of(server), model_.gradient_bytes / model_.servers);
      const TaskGraph::Task apply =
          graph_.add(model_.gradient_bytes / model_.servers / model_.apply_bytes_per_second, appliers_[at(server)]);
      const TaskGraph::Task pull = fabric_.send(rank_of(server), worker, model_.parameter_bytes / model_.servers);
      graph_.after(push, now.computed);
      graph_.after(apply, push);
      graph_.after(pull, apply);
      pulls.push_back(pull);
      if (server == 0) now.applied = apply;
    }
    now.pulled = graph_.join(pulls);
    rounds_[at(worker)].push_back(now);
  }

  ServerForecast finish() {
    graph_.run();
    ServerForecast forecast;
    measure_rates(forecast);
    measure_staleness(forecast);
    double served = 0, worked = 0;
    for (TaskGraph::Resource applier : appliers_) served = std::max(served, graph_.busy(applier));
    for (TaskGraph::Resource worker : workers_) worked = std::max(worked, graph_.busy(worker));
    forecast.server_busy = served / graph_.makespan();
    forecast.worker_busy = worked / graph_.makespan();
    forecast.nic_busy = std::max(fabric_.busiest_nic(), fabric_.busiest_port()) / graph_.makespan();
    const double most = std::max({forecast.server_busy, forecast.worker_busy, forecast.nic_busy});
    forecast.bottleneck = most == forecast.worker_busy ? "workers" : most == forecast.server_busy ? "servers" : "network";
    return forecast;
  }

 private:
  /// Nothing is alike here: no folding. Ranks fill the nodes; the last may not be full.
  static Layout layout_of(const Machine& machine, const ServerModel& model) {
    const int ranks = model.shared ? std::max(model.workers, model.servers) : model.workers + model.servers;
    const int nodes = (ranks + machine.ranks_per_node - 1) / machine.ranks_per_node;
    const int per_node = std::min(ranks, machine.ranks_per_node);
    return {nodes * per_node, per_node, false};
  }

  int rank_of(int server) const { return model_.shared ? server : model_.workers + server; }

  /// Over the second half of the rounds, between the moments when the first and the last worker ended them.
  void measure_rates(ServerForecast& forecast) const {
    double seconds = 0;
    for (const auto& rounds : rounds_) {
      const std::size_t half = rounds.size() / 2;
      seconds += (graph_.end(rounds.back().pulled) - graph_.end(rounds[half - 1].pulled)) /
                 static_cast<double>(rounds.size() - half);
    }
    forecast.seconds = seconds / model_.workers;
    forecast.pushes_per_second = model_.workers / forecast.seconds;
  }

  /// Updates that the first server applied between a worker's pull and the application of the gradient made from it.
  void measure_staleness(ServerForecast& forecast) const {
    std::vector<double> applied;
    for (const auto& rounds : rounds_)
      for (const Round& round : rounds) applied.push_back(graph_.end(round.applied));
    std::sort(applied.begin(), applied.end());
    const auto before = [&](double time) { return std::lower_bound(applied.begin(), applied.end(), time) - applied.begin(); };
    double sum = 0, count = 0;
    for (const auto& rounds : rounds_)
      for (std::size_t i = rounds.size() / 2; i + 1 < rounds.size(); ++i) {  // the last rounds have less company
        const auto between = before(graph_.end(rounds[i].applied)) - before(graph_.end(rounds[i - 1].applied)) - 1;
        const auto staleness = static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, between));
        if (forecast.staleness_shares.size() <= staleness) forecast.staleness_shares.resize(staleness + 1, 0);
        ++forecast.staleness_shares[staleness];
        sum += static_cast<double>(staleness);
        ++count;
      }
    if (count == 0) return;
    for (double& share : forecast.staleness_shares) share /= count;
    forecast.staleness = sum / count;
  }

  const ServerModel model_;
  TaskGraph graph_;
  Fabric fabric_;
  const RandomKey jitter_;
  std::vector<TaskGraph::Resource> appliers_, workers_;
  std::vector<std::vector<Round>> rounds_;  // by worker
};

}  // namespace

ServerForecast simulate_servers(const Machine& machine, const ServerModel& model, int rounds) {
  Rounds all(machine, model);
  for (int round = 0; round < rounds; ++round)
    for (int worker = 0; worker < model.workers; ++worker) all.add_round(worker, round);
  return all.finish();
}

}  // namespace convoy::simulation
