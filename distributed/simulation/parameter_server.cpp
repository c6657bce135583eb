#include "distributed/simulation/parameter_server.h"

#include <algorithm>
#include <cmath>

#include "core/random/philox.h"

namespace convoy::simulation {
namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

/// One round of one worker as tasks.
struct Round {
  TaskGraph::Task pulled = TaskGraph::kNone;   // from the first server, whose order of pushes measures staleness
  TaskGraph::Task all_pulled = TaskGraph::kNone;
  TaskGraph::Task computed = TaskGraph::kNone;
  TaskGraph::Task applied = TaskGraph::kNone;  // on the first server
  TaskGraph::Task all_applied = TaskGraph::kNone;
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

  void add_round(int worker, int round) {
    std::vector<Round>& rounds = rounds_[at(worker)];
    Round now;
    pull(worker, pull_begins(worker), now);
    const std::uint64_t draw = static_cast<std::uint64_t>(round) * static_cast<std::uint64_t>(model_.workers) +
                               static_cast<std::uint64_t>(worker);
    const double factor = model_.jitter == 0 ? 1 : std::max(0.1, 1 + model_.jitter * jitter_.normal(draw));
    now.computed = graph_.add(factor * model_.worker_seconds, workers_[at(worker)]);
    graph_.after(now.computed, now.all_pulled);
    if (!rounds.empty()) graph_.after(now.computed, rounds.back().computed);
    push(worker, now);
    rounds.push_back(now);
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
    const int ranks = model.colocated ? std::max(model.workers, model.servers) : model.workers + model.servers;
    const int nodes = (ranks + machine.ranks_per_node - 1) / machine.ranks_per_node;
    const int per_node = std::min(ranks, machine.ranks_per_node);
    return {nodes * per_node, per_node, false};
  }

  int rank_of_worker(int worker) const { return model_.colocated ? worker : model_.servers + worker; }

  /// Workers start one after the other, spread over one round, as they will be once they have been at it for a while.
  TaskGraph::Task pull_begins(int worker) {
    const std::vector<Round>& rounds = rounds_[at(worker)];
    if (rounds.empty()) return graph_.add(model_.worker_seconds * worker / model_.workers);
    if (!model_.pulls_ahead) return rounds.back().all_applied;
    return rounds.size() > 1 ? rounds[rounds.size() - 2].all_applied : rounds.back().all_pulled;
  }

  /// Not all begin with the same server.
  int server_of(int worker, int i) const { return (worker + i) % model_.servers; }

  void pull(int worker, TaskGraph::Task begin, Round& now) {
    std::vector<TaskGraph::Task> pulls;
    for (int i = 0; i < model_.servers; ++i) {
      const int server = server_of(worker, i);
      pulls.push_back(fabric_.send(server, rank_of_worker(worker), model_.parameter_bytes / model_.servers));
      graph_.after(pulls.back(), begin);
      if (server == 0) now.pulled = begin;
    }
    now.all_pulled = graph_.join(pulls);
  }

  void push(int worker, Round& now) {
    const double bytes = model_.gradient_bytes / model_.servers;
    std::vector<TaskGraph::Task> applies;
    for (int i = 0; i < model_.servers; ++i) {
      const int server = server_of(worker, i);
      const TaskGraph::Task message = fabric_.send(rank_of_worker(worker), server, bytes);
      applies.push_back(graph_.add(bytes / model_.apply_bytes_per_second, appliers_[at(server)]));
      graph_.after(message, now.computed);
      graph_.after(applies.back(), message);
      if (server == 0) now.applied = applies.back();
    }
    now.all_applied = graph_.join(applies);
  }

  /// Over the second half of the rounds, between the moments when the first and the last worker ended them.
  void measure_rates(ServerForecast& forecast) const {
    double seconds = 0;
    for (const auto& rounds : rounds_) {
      const std::size_t half = rounds.size() / 2;
      seconds += (graph_.end(rounds.back().computed) - graph_.end(rounds[half - 1].computed)) /
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
      for (std::size_t i = rounds.size() / 2; i + 2 < rounds.size(); ++i) {  // the last rounds have less company
        const auto between = before(graph_.end(rounds[i].applied)) - before(std::nextafter(graph_.end(rounds[i].pulled), 1e300));
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
