#include "distributed/simulation/step.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/random/philox.h"
#include "distributed/reduction.h"

namespace convoy::simulation {
namespace {

/// Ranks that share too few cores take turns of about this length.
constexpr double kTurn = 1e-3;

class StepTasks {
 public:
  StepTasks(Fabric& fabric, const StepModel& model)
      : fabric_(fabric), graph_(fabric.graph()), model_(model), jitter_(model.seed, "simulated jitter") {}

  /// The tasks with which each bucket of `rank` is complete, one behind the other; its last entry ends all computing.
  std::vector<TaskGraph::Task> compute(int rank, int step, TaskGraph::Task begin) {
    const auto [first, last] = leaves_of(rank);
    const double factor = slowness(rank, step);
    std::vector<std::vector<TaskGraph::Task>> complete(model_.segments.size());
    for (int lane = 0; lane < model_.lanes; ++lane) {
      const auto [from, to] = share_of(lane, model_.lanes, first, last);
      if (from == to) continue;
      const double whole = factor * std::accumulate(model_.segments.begin(), model_.segments.end(), 0.0);
      TaskGraph::Task now = turns(rank, (to - from - 1) * whole, begin);
      for (std::size_t i = 0; i < model_.segments.size(); ++i) {
        now = turns(rank, factor * model_.segments[i], now);
        complete[i].push_back(now);
      }
    }
    std::vector<TaskGraph::Task> ends;
    for (const auto& lanes : complete) ends.push_back(graph_.join(lanes));
    return ends;
  }

  TaskGraph::Task update(int rank, TaskGraph::Task begin) { return turns(rank, model_.update_seconds, begin); }

 private:
  std::pair<int, int> leaves_of(int rank) const {
    const Layout& layout = fabric_.layout();
    if (!layout.folded) return share_of(rank, layout.ranks, 0, model_.virtual_workers);
    return {0, (model_.virtual_workers + layout.ranks - 1) / layout.ranks};
  }

  /// Where one node stands for all, each of its ranks is as slow as the slowest of those that it stands for: in every exchange
  /// all wait for the slowest.
  double slowness(int rank, int step) const {
    if (model_.jitter == 0) return 1;
    const Layout& layout = fabric_.layout();
    const RandomKey key = jitter_.child(static_cast<std::uint64_t>(step));
    double most = -1e9;
    for (int each = rank; each < (layout.folded ? layout.ranks : rank + 1); each += layout.per_node)
      most = std::max(most, key.normal(static_cast<std::uint64_t>(each)));
    return std::max(0.1, 1 + model_.jitter * most);
  }

  TaskGraph::Task turns(int rank, double seconds, TaskGraph::Task begin) {
    const bool shared = fabric_.machine().cores > 0;
    const int count = shared ? std::max(1, static_cast<int>(std::ceil(seconds / kTurn))) : 1;
    TaskGraph::Task now = begin;
    for (int turn = 0; turn < count; ++turn) {
      const TaskGraph::Task next = fabric_.compute(rank, seconds / count);
      graph_.after(next, now);
      now = next;
    }
    return now;
  }

  Fabric& fabric_;
  TaskGraph& graph_;
  const StepModel& model_;
  const RandomKey jitter_;
};

/// Buckets in order on one communication thread per rank.
Ends exchange_buckets(TaskGraph& graph, ExchangeTasks& exchange, const std::vector<Bucket>& buckets,
                      const std::vector<std::vector<TaskGraph::Task>>& complete) {
  Ends before(complete.size(), TaskGraph::kNone);
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    Ends begin;
    for (std::size_t rank = 0; rank < complete.size(); ++rank) {
      const TaskGraph::Task start = graph.add(0);
      graph.after(start, {complete[rank][b], before[rank]});
      begin.push_back(start);
    }
    before = exchange.all_reduce(buckets[b], begin);
  }
  return before;
}

std::size_t largest_of(const std::vector<Bucket>& buckets) {
  std::size_t largest = 0;
  for (const Bucket& bucket : buckets) largest = std::max(largest, bucket.elements);
  return largest;
}

double own_seconds(const Machine& machine, const Layout& layout, const StepModel& model) {
  const int leaves = (model.virtual_workers + layout.ranks - 1) / layout.ranks;
  const double micro_batch = std::accumulate(model.segments.begin(), model.segments.end(), 0.0);
  const int in_turn = (leaves + model.lanes - 1) / model.lanes;
  const double alone = in_turn * micro_batch + model.update_seconds;
  if (machine.cores == 0) return alone;
  const double work = (leaves * micro_batch + model.update_seconds) * layout.per_node;
  return std::max(alone, work / machine.cores);
}

StepForecast forecast_of(const TaskGraph& graph, const Fabric& fabric, const StepModel& model, double seconds, int steps) {
  const int simulated_nodes = fabric.layout().folded ? 1 : fabric.layout().nodes();
  StepForecast forecast{.seconds = seconds,
                        .compute = own_seconds(fabric.machine(), fabric.layout(), model),
                        .intra_bytes = fabric.intra_bytes() / steps / fabric.layout().simulated(),
                        .inter_bytes = fabric.inter_bytes() / steps / simulated_nodes,
                        .busiest_nic = fabric.busiest_nic() / graph.makespan(),
                        .busiest_port = fabric.busiest_port() / graph.makespan()};
  const double exposed = forecast.seconds - forecast.compute;
  forecast.exposed = exposed > 1e-9 * forecast.seconds ? exposed : 0;  // sums of turns are not exact
  return forecast;
}

}  // namespace

StepForecast simulate_sync(const Machine& machine, const Layout& layout, const StepModel& model, Algorithm algorithm,
                           int steps) {
  TaskGraph graph;
  Fabric fabric(graph, machine, layout);
  ExchangeTasks exchange(fabric, {algorithm, model.virtual_workers, largest_of(model.buckets)});
  StepTasks tasks(fabric, model);
  Ends now(static_cast<std::size_t>(layout.simulated()), TaskGraph::kNone);
  TaskGraph::Task first = TaskGraph::kNone, last = TaskGraph::kNone;
  for (int step = 0; step < steps; ++step) {
    std::vector<std::vector<TaskGraph::Task>> complete;
    for (int rank = 0; rank < layout.simulated(); ++rank)
      complete.push_back(tasks.compute(rank, step, now[static_cast<std::size_t>(rank)]));
    const Ends reduced = exchange_buckets(graph, exchange, model.buckets, complete);
    for (int rank = 0; rank < layout.simulated(); ++rank) {
      const auto at = static_cast<std::size_t>(rank);
      complete[at].push_back(reduced[at]);
      now[at] = tasks.update(rank, graph.join(complete[at]));
    }
    last = graph.join(now);
    if (step == 0) first = last;
  }
  graph.run();
  const double seconds = steps > 1 ? (graph.end(last) - graph.end(first)) / (steps - 1) : graph.end(last);
  return forecast_of(graph, fabric, model, seconds, steps);
}

StepForecast simulate_local(const Machine& machine, const Layout& layout, const StepModel& model, Algorithm algorithm,
                            int local_steps, double parameter_elements) {
  TaskGraph graph;
  Fabric fabric(graph, machine, layout);
  const Bucket parameters{static_cast<std::size_t>(parameter_elements), sizeof(float)};
  ExchangeTasks exchange(fabric, {algorithm, layout.ranks, parameters.elements});
  StepTasks tasks(fabric, model);
  Ends now(static_cast<std::size_t>(layout.simulated()), TaskGraph::kNone);
  for (int step = 0; step < local_steps; ++step)
    for (int rank = 0; rank < layout.simulated(); ++rank) {
      const auto at = static_cast<std::size_t>(rank);
      now[at] = tasks.update(rank, graph.join(tasks.compute(rank, step, now[at])));
    }
  const TaskGraph::Task end = graph.join(exchange.all_reduce(parameters, now));
  graph.run();
  return forecast_of(graph, fabric, model, graph.end(end) / local_steps, local_steps);
}

}  // namespace convoy::simulation
