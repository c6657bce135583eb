// The simulator against closed forms, and against what the program sends.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <numeric>

#include "core/random/philox.h"
#include "core/tensor/error.h"
#include "distributed/exchange_schedule.h"
#include "distributed/local_sums.h"
#include "distributed/reduction.h"
#include "distributed/simulation/checkpoint_interval.h"
#include "distributed/simulation/parameter_server.h"
#include "distributed/simulation/step.h"
#include "support/on_ranks.h"

namespace convoy::simulation {
namespace {

constexpr double kNear = 1e-9;

TEST(TaskGraph, ServesWhoIsReadyFirst) {
  TaskGraph graph;
  const auto port = graph.add_resource();
  const auto long_one = graph.add(5);
  const auto late = graph.add(1, port);  // added first, ready last
  graph.after(late, long_one);
  const auto a = graph.add(2, port), b = graph.add(2, port);
  graph.run();
  EXPECT_EQ(graph.end(a), 2);
  EXPECT_EQ(graph.end(b), 4);
  EXPECT_EQ(graph.end(late), 6);
  EXPECT_EQ(graph.busy(port), 5);
  EXPECT_EQ(graph.makespan(), 6);
}

TEST(TaskGraph, AMessageHoldsBothPortsAndNotTheLatency) {
  TaskGraph graph;
  const auto out = graph.add_resource(), in = graph.add_resource();
  const auto first = graph.add_message(2, out, in, 10), second = graph.add_message(2, out, in, 10);
  graph.run();
  EXPECT_EQ(graph.end(first), 12);
  EXPECT_EQ(graph.end(second), 14);
}

TEST(TaskGraph, AMessageThatWaitsForItsReceiverHoldsUpNoOther) {
  TaskGraph graph;
  const auto out = graph.add_resource(), busy = graph.add_resource(), idle = graph.add_resource();
  graph.add(10, busy);
  const auto waits = graph.add_message(2, out, busy, 0), passes = graph.add_message(2, out, idle, 0);
  graph.run();
  EXPECT_EQ(graph.end(waits), 12);
  EXPECT_EQ(graph.end(passes), 4);
}

TEST(TaskGraph, WhatNeedsTwoResourcesWaitsForBoth) {
  TaskGraph graph;
  const auto core = graph.add_resource(), thread = graph.add_resource();
  graph.add(3, core);
  const auto both = graph.add(2, thread, core);
  const auto next = graph.add(1, thread);
  graph.run();
  EXPECT_EQ(graph.end(both), 5);
  EXPECT_EQ(graph.end(next), 6);
}

TEST(TaskGraph, SeveralServersWorkAtOnce) {
  TaskGraph graph;
  const auto cores = graph.add_resource(2);
  std::vector<TaskGraph::Task> tasks;
  for (int i = 0; i < 5; ++i) tasks.push_back(graph.add(1, cores));
  const auto all = graph.join(tasks);
  graph.run();
  EXPECT_EQ(graph.end(all), 3);
}

TEST(TaskGraph, TasksInACircleAreFound) {
  TaskGraph graph;
  const auto a = graph.add(1), b = graph.add(1);
  graph.after(a, b);
  graph.after(b, a);
  EXPECT_THROW(graph.run(), Error);
}

Machine machine_of(int per_node, double intra, double inter, double latency) {
  return {.ranks_per_node = per_node,
          .intra = {.bytes_per_second = intra, .latency = latency},
          .inter = {.bytes_per_second = inter, .latency = latency},
          .add_bytes_per_second = 1e30};
}

/// Seconds of one bucket's all-reduce that begins at 0.
double all_reduce_seconds(const Machine& machine, const Layout& layout, Algorithm algorithm, std::size_t elements,
                          int virtual_workers) {
  TaskGraph graph;
  Fabric fabric(graph, machine, layout);
  ExchangeTasks exchange(fabric, {algorithm, virtual_workers, elements});
  Ends begin;
  for (int rank = 0; rank < layout.simulated(); ++rank) begin.push_back(graph.add(0));
  const auto end = graph.join(exchange.all_reduce({elements, 4}, begin));
  graph.run();
  return graph.end(end);
}

TEST(ExchangeTasks, RingTakesTheTextbookTime) {
  for (int ranks : {2, 3, 8, 16, 24, 1024}) {
    const double bytes = 4e6, bandwidth = 1e9, latency = 5e-6;
    const double seconds =
        all_reduce_seconds(machine_of(1, 1e9, bandwidth, latency), make_layout(ranks, 1), Algorithm::ring, 1000000, ranks);
    EXPECT_NEAR(seconds, 2 * (ranks - 1) * (latency + bytes / ranks / bandwidth), kNear) << ranks;
  }
}

TEST(ExchangeTasks, RingsShareTheNicsOfANode) {
  const double inter = 1e9, bytes = 4e6;
  for (int nics : {1, 2, 4}) {
    Machine machine = machine_of(4, 1e15, inter, 0);
    machine.nics = nics;
    for (bool folded : {false, true})
      EXPECT_NEAR(all_reduce_seconds(machine, {32, 4, folded}, Algorithm::ring, 1000000, 32), 2 * 31.0 / 32 * bytes / nics / inter, 1e-6)
          << nics << folded;
  }
}

TEST(ExchangeTasks, ARingsLatencyIsThatOfTheWayAround) {
  Machine machine = machine_of(4, 1e15, 1e15, 1e-6);
  machine.inter.latency = 10e-6;
  for (bool folded : {false, true})
    EXPECT_NEAR(all_reduce_seconds(machine, {16, 4, folded}, Algorithm::ring, 16, 16), 30 * (10e-6 + 3e-6) / 4, 10e-6) << folded;
}

TEST(ExchangeTasks, HalvingTakesTheTextbookTime) {
  for (int ranks : {2, 4, 16}) {
    const double bytes = 4.0 * (1 << 16), bandwidth = 1e9, latency = 5e-6;  // a single piece a step
    const double seconds = all_reduce_seconds(machine_of(1, 1e9, bandwidth, latency), make_layout(ranks, 1), Algorithm::tree,
                                              1 << 16, ranks);
    EXPECT_NEAR(seconds, 2 * std::log2(ranks) * latency + 2.0 * (ranks - 1) / ranks * bytes / bandwidth, kNear) << ranks;
  }
}

TEST(ExchangeTasks, DirectTakesTheTextbookTime) {
  for (int ranks : {3, 5}) {
    const double bytes = 4.0 * 16 * 1024 * ranks, bandwidth = 1e9, latency = 5e-6;  // a single piece
    const double seconds = all_reduce_seconds(machine_of(1, 1e9, bandwidth, latency), make_layout(ranks, 1), Algorithm::tree,
                                              std::size_t{16} * 1024 * static_cast<std::size_t>(ranks), ranks);
    EXPECT_NEAR(seconds, 2 * (latency + (ranks - 1) * bytes / ranks / bandwidth), kNear) << ranks;
  }
}

TEST(ExchangeTasks, HierarchicalUsesTheSlowLinkForOneSliceEach) {
  const double intra = 100e9, inter = 1e9, bytes = 4.0 * (1 << 19);
  Machine machine = machine_of(8, intra, inter, 0);
  machine.nics = 8;
  const double seconds = all_reduce_seconds(machine, make_layout(32, 8), Algorithm::hierarchical, 1 << 19, 32);
  EXPECT_NEAR(seconds, 2 * 7.0 / 8 * bytes / intra + 2 * 3.0 / 4 * bytes / 8 / inter, 1e-7);
}

TEST(ExchangeTasks, ANicSharedByANodeIsSharedByItsMessages) {
  const double inter = 1e9, bytes = 4.0 * (1 << 16);
  // distance 1 inside the node, at no cost; distance 2: both ranks send a quarter through one NIC
  const double seconds =
      all_reduce_seconds(machine_of(2, 1e15, inter, 0), make_layout(4, 2), Algorithm::tree, 1 << 16, 4);
  EXPECT_NEAR(seconds, 2 * 2 * bytes / 4 / inter, 1e-7);
}

TEST(ExchangeTasks, AdditionsTakeTheirTime) {
  Machine machine = machine_of(1, 1e15, 1e15, 0);
  machine.add_bytes_per_second = 1e9;
  const double bytes = 4.0 * (1 << 16);
  EXPECT_NEAR(all_reduce_seconds(machine, make_layout(4, 1), Algorithm::tree, 1 << 16, 4), 3.0 / 4 * bytes / 1e9, 1e-7);
  // directly: two additions, of two ranks' slices and one's own, from three ranks
  EXPECT_NEAR(all_reduce_seconds(machine, make_layout(3, 1), Algorithm::tree, 48 * 1024, 3), 2 * 4.0 * 16 * 1024 / 1e9, 1e-7);
}

TEST(ExchangeTasks, OneNodeStandsForAll) {
  for (Algorithm algorithm : {Algorithm::tree, Algorithm::device_tree, Algorithm::ring, Algorithm::hierarchical}) {
    for (auto [ranks, per_node] : {std::pair{16, 4}, {24, 8}, {12, 4}, {32, 1}}) {
      const Machine machine = machine_of(per_node, 10e9, 1e9, 3e-6);
      const double whole = all_reduce_seconds(machine, {ranks, per_node, false}, algorithm, 1 << 20, ranks);
      const double folded = all_reduce_seconds(machine, {ranks, per_node, true}, algorithm, 1 << 20, ranks);
      const bool halves = algorithm == Algorithm::tree && ranks % 3 != 0;
      const bool exact = halves || algorithm == Algorithm::hierarchical;
      EXPECT_NEAR(folded, whole, (exact ? 0.0001 : 0.1) * whole) << static_cast<int>(algorithm) << " " << ranks << "/" << per_node;
    }
  }
}

/// Bytes that the simulated ranks send in one all-reduce through the tree.
double simulated_bytes(int ranks, int virtual_workers, std::size_t elements, double element_bytes) {
  TaskGraph graph;
  Fabric fabric(graph, machine_of(1, 1e9, 1e9, 0), {ranks, 1, false});
  ExchangeTasks exchange(fabric, {Algorithm::tree, virtual_workers, elements});
  exchange.all_reduce({elements, element_bytes}, Ends(static_cast<std::size_t>(ranks), graph.add(0)));
  return fabric.inter_bytes();
}

TEST(ExchangeTasks, SendWhatTheProgramSends) {
  for (auto [ranks, virtual_workers] : {std::pair{2, 8}, {4, 4}, {4, 8}, {3, 8}, {5, 7}, {6, 6}, {4, 6}}) {
    for (std::size_t elements : {16U, 1000U, 700001U}) {
      for (SumRounding rounding : {SumRounding::none, SumRounding::bf16}) {
        std::atomic<std::int64_t> sent = 0;
        std::atomic<bool> memory_as_told = true;
        on_ranks(ranks, [&, ranks = ranks, virtual_workers = virtual_workers](Communicator& world) {
          ReducerOptions options{.virtual_workers = virtual_workers,
                                 .bucket_elements = {static_cast<std::int64_t>(elements)},
                                 .rounding = {rounding}};
          const auto reducer = make_reducer(world, options);
          const std::vector<float> leaf(elements, 1.0F);
          const auto [first, last] = share_of(world.rank(), ranks, 0, virtual_workers);
          reducer->begin(1);
          for (int each = first; each < last; ++each) reducer->bucket_ready(each, 0, leaf.data());
          reducer->finish();
          sent += reducer->sent_bytes();
          const LargestBuckets largest{elements, rounding == SumRounding::none ? 0 : elements};
          const std::size_t told =
              local_sum_buffers(first, last, virtual_workers, 1, false) * elements * sizeof(float) +
              exchange_memory_bytes(ReductionKind::deterministic, world.rank(), ranks, virtual_workers, largest);
          if (reducer->memory_bytes() != told) memory_as_told = false;
        });
        EXPECT_EQ(static_cast<double>(sent), simulated_bytes(ranks, virtual_workers, elements, rounding == SumRounding::none ? 4 : 2))
            << ranks << " ranks, " << virtual_workers << " workers, " << elements << " elements";
        EXPECT_TRUE(memory_as_told) << ranks << " ranks, " << virtual_workers << " workers, " << elements << " elements";
      }
    }
  }
}

StepModel small_model() {
  return {.segments = {0.010, 0.010, 0.002},
          .buckets = {{1 << 16, 4}, {1 << 16, 4}},
          .virtual_workers = 4,
          .update_seconds = 0.003};
}

TEST(SyncStep, OneRankTakesWhatItComputes) {
  const StepForecast forecast = simulate_sync(machine_of(1, 1e9, 1e9, 0), make_layout(1, 1), small_model(), Algorithm::tree);
  EXPECT_NEAR(forecast.seconds, 4 * 0.022 + 0.003, kNear);
  EXPECT_NEAR(forecast.exposed, 0, kNear);
  EXPECT_EQ(forecast.inter_bytes, 0);
}

TEST(SyncStep, AnExchangeHidesBehindWhatIsStillComputed) {
  // The first bucket's 10 ms pass while 10 ms are computed; the second's begin then, and the tail hides 2 of them.
  const double bytes = 4.0 * (1 << 16);
  const Machine machine = machine_of(1, 1e9, bytes / 0.010, 0);
  const StepForecast forecast = simulate_sync(machine, make_layout(2, 1), [] {
    StepModel model = small_model();
    model.virtual_workers = 2;
    return model;
  }(), Algorithm::tree);
  EXPECT_NEAR(forecast.compute, 0.025, kNear);
  EXPECT_NEAR(forecast.exposed, 0.008, kNear);
  EXPECT_NEAR(forecast.inter_bytes, 2 * bytes, kNear);
}

TEST(SyncStep, RanksShareTheCoresOfTheirNode) {
  Machine machine = machine_of(4, 1e15, 1e15, 0);
  machine.cores = 2;
  const StepForecast forecast = simulate_sync(machine, make_layout(4, 4), small_model(), Algorithm::tree);
  EXPECT_NEAR(forecast.seconds, 4 * (0.022 + 0.003) / 2, 1e-5);
}

TEST(SyncStep, LanesShareTheMicroBatches) {
  StepModel model = small_model();
  model.lanes = 2;
  Machine machine = machine_of(1, 1e9, 1e9, 0);
  machine.cores = 2;
  EXPECT_NEAR(simulate_sync(machine, make_layout(1, 1), model, Algorithm::tree).seconds, 2 * 0.022 + 0.003, 1e-6);
}

TEST(SyncStep, AllWaitForTheSlowest) {
  StepModel model = small_model();
  model.segments.back() = 0;
  model.virtual_workers = 32;
  model.jitter = 0.05;
  const Machine machine = machine_of(4, 1e15, 1e15, 0);
  const StepForecast whole = simulate_sync(machine, {32, 4, false}, model, Algorithm::tree, 30);
  const StepForecast folded = simulate_sync(machine, {32, 4, true}, model, Algorithm::tree, 30);
  EXPECT_NEAR(folded.seconds, whole.seconds, 1e-6);
  const double slowest = 2.07;  // mean of the greatest of 32 standard normals (Teichroew 1956, table I)
  EXPECT_NEAR(whole.seconds, 0.003 + 0.020 * (1 + 0.05 * slowest), 0.0005);
}

TEST(SyncStep, IsTheSameEveryTimeAndFollowsTheSeed) {
  StepModel model = small_model();
  model.virtual_workers = 128;
  model.jitter = 0.1;
  const Machine machine = machine_of(8, 1e10, 1e9, 1e-6);
  const auto seconds = [&] { return simulate_sync(machine, make_layout(128, 8), model, Algorithm::tree).seconds; };
  const double once = seconds();
  EXPECT_EQ(seconds(), once);
  model.seed = 2;
  EXPECT_NE(seconds(), once);
}

TEST(Layout, SpreadsRanksEvenly) {
  EXPECT_EQ(make_layout(4, 8).per_node, 4);
  EXPECT_EQ(make_layout(16, 8).nodes(), 2);
  EXPECT_EQ(make_layout(12, 8).per_node, 6);
  EXPECT_EQ(make_layout(13, 8).per_node, 1);
  EXPECT_FALSE(make_layout(16, 8).folded);
  EXPECT_TRUE(make_layout(32, 8).folded);
}

TEST(LocalSteps, ShareOneAverage) {
  StepModel model = small_model();
  model.virtual_workers = 2;
  const double bytes = 4.0 * (1 << 16);
  const Machine machine = machine_of(1, 1e9, bytes / 0.010, 0);
  const StepForecast forecast = simulate_local(machine, make_layout(2, 1), model, Algorithm::tree, 5, 1 << 16);
  EXPECT_NEAR(forecast.seconds, 0.025 + 0.010 / 5, 1e-6);
  EXPECT_NEAR(forecast.inter_bytes, bytes / 5, 1e-6);
}

ServerModel server_model(int workers, int servers) {
  return {.workers = workers,
          .servers = servers,
          .parameter_bytes = 1e6,
          .gradient_bytes = 1e6,
          .worker_seconds = 0.100,
          .apply_bytes_per_second = 1e8};  // 10 ms a gradient
}

TEST(Servers, OneWorkerIsNeverStale) {
  const ServerForecast forecast = simulate_servers(machine_of(1, 1e9, 1e9, 0), server_model(1, 1));
  EXPECT_NEAR(forecast.seconds, 0.100 + 2 * 0.001 + 0.010, kNear);
  EXPECT_EQ(forecast.staleness, 0);
  EXPECT_EQ(forecast.bottleneck, "workers");
}

TEST(Servers, WhoPullsAheadWaitsForNothingAndIsStaler) {
  ServerModel model = server_model(1, 1);
  model.pulls_ahead = true;
  const ServerForecast one = simulate_servers(machine_of(1, 1e9, 1e9, 0), model);
  EXPECT_NEAR(one.seconds, 0.100, kNear);
  EXPECT_NEAR(one.staleness, 1, kNear);
  model.workers = 4;
  EXPECT_NEAR(simulate_servers(machine_of(1, 1e9, 1e9, 0), model, 40).pushes_per_second, 40, 0.01);
  model.workers = 40;
  EXPECT_NEAR(simulate_servers(machine_of(1, 1e12, 1e12, 0), model, 40).pushes_per_second, 100, 2);
}

TEST(Servers, MayWorkToo) {
  ServerModel model = server_model(8, 8);
  model.colocated = true;
  const ServerForecast forecast = simulate_servers(machine_of(1, 1e9, 1e9, 0), model, 40);
  EXPECT_GT(forecast.pushes_per_second, 8 / 0.120);
  EXPECT_LT(forecast.pushes_per_second, 8 / 0.102);
  EXPECT_NEAR(forecast.staleness, 7, 0.5);
}

TEST(Servers, FewWorkersAreNotHeldUp) {
  const ServerForecast forecast = simulate_servers(machine_of(1, 1e9, 1e9, 0), server_model(4, 1));
  EXPECT_NEAR(forecast.pushes_per_second, 4 / 0.112, 0.01);
  EXPECT_NEAR(forecast.staleness, 3, 0.01);
}

TEST(Servers, ManyWorkersGetWhatTheServersApply) {
  const ServerForecast one = simulate_servers(machine_of(1, 1e12, 1e12, 0), server_model(40, 1), 40);
  EXPECT_NEAR(one.pushes_per_second, 100, 1);
  EXPECT_NEAR(one.staleness, 39, 0.5);
  EXPECT_EQ(one.bottleneck, "servers");
  EXPECT_NEAR(std::accumulate(one.staleness_shares.begin(), one.staleness_shares.end(), 0.0), 1, kNear);
  const ServerForecast four = simulate_servers(machine_of(1, 1e12, 1e12, 0), server_model(80, 4), 40);
  EXPECT_NEAR(four.pushes_per_second, 400, 8);
}

TEST(Servers, ASlowNetworkIsTheBottleneck) {
  const ServerForecast forecast = simulate_servers(machine_of(1, 1e9, 2e7, 0), server_model(16, 1), 40);
  EXPECT_NEAR(forecast.pushes_per_second, 20, 0.5);  // 50 ms through the server's port
  EXPECT_EQ(forecast.bottleneck, "network");
}

TEST(CheckpointInterval, FollowsYoungAndDaly) {
  EXPECT_NEAR(young_interval(2, 10000), 200, kNear);
  EXPECT_NEAR(daly_interval(2, 10000), 200 * (1 + std::sqrt(1e-4) / 3 + 1e-4 / 9) - 2, kNear);
  EXPECT_EQ(daly_interval(30, 10), 10);
}

TEST(CheckpointInterval, DalysIsNearTheBest) {
  const FailureModel model{.save_seconds = 20, .restart_seconds = 60, .mean_between = 3600};
  const SavePlan plan = plan_saves(model);
  for (double factor : {0.5, 0.8, 1.25, 2.0}) EXPECT_LT(plan.factor, failure_factor(model, factor * plan.interval)) << factor;
}

TEST(CheckpointInterval, NoShorterThanAWrite) {
  EXPECT_EQ(plan_saves({.save_seconds = 0.001, .write_seconds = 500, .mean_between = 3600}).interval, 500);
}

/// Wall time over training time of a run with exponential failures, played out.
double played_factor(const FailureModel& model, double interval, int saves) {
  const RandomKey key(7, "failures");
  std::uint64_t draw = 0;
  const auto next_failure = [&] { return -model.mean_between * std::log(1 - key.uniform_double(draw++)); };
  double wall = 0, failure = next_failure();
  for (int done = 0; done < saves;) {
    if (failure >= interval + model.save_seconds) {
      failure -= interval + model.save_seconds;
      wall += interval + model.save_seconds;
      ++done;
      continue;
    }
    wall += failure;
    for (failure = next_failure(); failure < model.restart_seconds; failure = next_failure()) wall += failure;
    failure -= model.restart_seconds;
    wall += model.restart_seconds;
  }
  return wall / (saves * interval);
}

TEST(CheckpointInterval, TheFactorIsThatOfFailuresPlayedOut) {
  const FailureModel model{.save_seconds = 20, .restart_seconds = 60, .mean_between = 3600};
  for (double interval : {200.0, 1000.0})
    EXPECT_NEAR(played_factor(model, interval, 200000), failure_factor(model, interval), 0.003) << interval;
}

}  // namespace
}  // namespace convoy::simulation
