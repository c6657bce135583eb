#include "launch/plan/probe.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "core/backend/timing.h"
#include "core/tensor/error.h"
#include "distributed/add.h"
#include "distributed/float_buffer.h"
#include "distributed/reduction.h"
#include "distributed/threads/thread_world.h"
#include "io/bench_checkpoint.h"
#include "launch/check.h"
#include "launch/check_mode.h"
#include "launch/layer_options.h"
#include "launch/plan/planner.h"
#include "launch/train/step_engine.h"

namespace convoy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kProbeSeconds = 2.0;        // of steps
constexpr int kFewestSteps = 6;              // that are timed, of each kind
constexpr std::size_t kSmallBucket = 64;     // floats
constexpr std::size_t kLargeBucket = 1 << 20;
constexpr int kExchanges = 25;
constexpr std::int64_t kLargestCheckpoint = 64'000'000;  // bytes

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

double median_of(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double mean_over_ranks(Communicator& all, double value) {
  all.all_reduce(std::span(&value, 1), ReduceOp::sum);
  return value / all.size();
}

double most_over_ranks(Communicator& all, double value) {
  all.all_reduce(std::span(&value, 1), ReduceOp::max);
  return value;
}

/// Steps of one rank alone, with so many micro-batches.
class Steps {
 public:
  Steps(const Config& config, const RunSpec& spec, const TrainingGraph& training, const UpdateGraph& update,
        const Backend& backend, const Dataset& data, int threads, int micro_batches)
      : world_(make_thread_world(1)),
        state_(initial_state(training.graph, update, spec.seeds.init, *world_[0])),
        memory_(state_, backend.device()),
        engine_(make_step_engine(training, update, backend, memory_,
                                 {.first_leaf = 0,
                                  .last_leaf = micro_batches,
                                  .virtual_workers = micro_batches,
                                  .threads = threads,
                                  .threads_per_micro_batch = spec.threads_per_micro_batch,
                                  .classes = spec.task.classes})) {
    engine_->connect(*world_[0]);
    const TrainingStream stream{.order_seed = spec.seeds.order,
                                .order = spec.order,
                                .augment = spec.augment,
                                .batch = spec.task.micro_batch * micro_batches,
                                .virtual_workers = micro_batches,
                                .first_worker = 0,
                                .last_worker = micro_batches,
                                .first_step = 0,
                                .last_step = std::int64_t{1} << 40};
    loader_ = make_training_loader(data, stream, {.threads = config.get<int>("data.threads"), .depth = 2});
  }

  /// Seconds a step.
  double run(int steps) {
    const Clock::time_point begin = Clock::now();
    for (int i = 0; i < steps; ++i) {
      if (engine_->under_way() == engine_->depth()) engine_->take();
      engine_->begin({.step = step_++, .rate = 1e-6, .loader = loader_.get()});
    }
    while (engine_->under_way() > 0) engine_->take();
    return seconds_since(begin) / steps;
  }

 private:
  std::vector<std::unique_ptr<Communicator>> world_;
  ModelState state_;
  StateMemory memory_;
  std::unique_ptr<StepEngine> engine_;
  std::unique_ptr<Loader> loader_;
  std::int64_t step_ = 0;
};

/// Where the ranks of this job are.
struct Seating {
  int hosts = 1;
  int here = 1;                     // ranks on this host
  int first_elsewhere = -1;         // the lowest rank of another host than rank 0's
  std::unique_ptr<Communicator> neighbours;  // of this host
};

Seating seat(World& world) {
  Seating seating;
  const std::vector<std::string> hosts = world.all().all_gather_strings(world.host());
  std::vector<std::string> names = hosts;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  seating.hosts = static_cast<int>(names.size());
  seating.here = static_cast<int>(std::count(hosts.begin(), hosts.end(), world.host()));
  const auto other = std::find_if(hosts.begin(), hosts.end(), [&](const std::string& host) { return host != hosts.front(); });
  if (other != hosts.end()) seating.first_elsewhere = static_cast<int>(other - hosts.begin());
  const auto mine = std::lower_bound(names.begin(), names.end(), world.host()) - names.begin();
  seating.neighbours = world.all().split(static_cast<int>(mine), world.rank());
  return seating;
}

/// What a step takes is a + b times the micro-batches that a thread does one after the other: two lengths tell a and b. Times
/// are means, as a long run's are, and of both lengths in turn.
void measure_steps(const Config& config, Communicator& all, const Dataset& data, const Planner& planner, const Backend& backend,
                   const Seating& seating, Cluster& cluster) {
  RunSpec spec = planner.spec();
  const TrainingGraph& training = planner.training();
  const auto cores = static_cast<int>(cluster.cores);
  const int threads = cluster.is_host() ? host_threads(training, threads_for(config.get<int>("device.threads"),
                                                                             std::max(1, cores / spec.threads_per_micro_batch),
                                                                             seating.here, spec.virtual_workers), 1)
                                        : 1;
  constexpr int kRounds = 3;  // of micro-batches in the longer step
  Steps once(config, spec, training, planner.update(), backend, data, threads, threads);
  Steps more(config, spec, training, planner.update(), backend, data, threads, kRounds * threads);
  once.run(2);  // pages, caches, lazily made kernels
  const double warm = most_over_ranks(all, more.run(2));
  const int steps = std::max(kFewestSteps, static_cast<int>(kProbeSeconds / (warm * (1 + 1.0 / kRounds))));
  std::vector<double> short_ones, long_ones;
  for (int i = 0; i < steps; ++i) {
    short_ones.push_back(once.run(1));
    long_ones.push_back(more.run(1));
  }
  const double short_step = mean_over_ranks(all, mean_of(short_ones)), long_step = mean_over_ranks(all, mean_of(long_ones));
  const double share = cluster.is_host() ? std::min(1.0, cluster.cores / (seating.here * threads)) : 1;
  const double micro_batch = (long_step - short_step) / (kRounds - 1);
  MeasuredNetwork network{.name = spec.task.model, .model = spec.task.model, .precision = config.get<std::string>("precision")};
  network.micro_batch = static_cast<double>(spec.task.micro_batch);
  network.micro_batch_seconds = micro_batch * share;
  network.step_seconds = std::max(1e-6, (short_step - micro_batch) * share);
  for (const OpDesc& op : describe_ops(training.graph, {}))
    network.multiply_adds += cost_of(op.kind, op.attributes, op.inputs, op.outputs).multiply_adds;
  cluster.measured.push_back(network);
}

/// Seconds of an exchange of one bucket, from a barrier until the last rank has the sum: the median.
double exchange_seconds(Communicator& ranks, std::size_t elements) {
  const std::int64_t count = static_cast<std::int64_t>(elements);
  const auto reducer = make_reducer(ranks, {.virtual_workers = ranks.size(), .bucket_elements = {count}});
  const std::vector<float> leaf(elements, 1.0F);
  std::vector<double> seconds;
  for (int i = 0; i < kExchanges; ++i) {
    ranks.barrier();
    const Clock::time_point begin = Clock::now();
    reducer->begin(i + 1);
    reducer->bucket_ready(ranks.rank(), 0, leaf.data());
    const double handed_in = seconds_since(begin);  // a copy, which belongs to the micro-batch
    reducer->finish();
    double taken = seconds_since(begin) - handed_in;
    ranks.all_reduce(std::span(&taken, 1), ReduceOp::max);
    seconds.push_back(taken);
  }
  return median_of(seconds);
}

/// Bytes of one array added to another, a second; as pieces of an exchange are.
double measure_add() {
  constexpr std::size_t kPiece = 1 << 18;
  FloatBuffer left(kPiece), right(kPiece);
  std::vector<double> seconds;
  for (int i = 0; i < kExchanges; ++i) {
    const Clock::time_point begin = Clock::now();
    add(left.data(), right.data(), left.data(), kPiece, SumRounding::none);
    seconds.push_back(seconds_since(begin));
  }
  return kPiece * sizeof(float) / median_of(seconds);
}

/// The exchange's own messages tell what a message costs, small and long: 2 log2 R of them one after the other where R is a
/// power of two, else 2; long ones move 2 (R - 1) / R of the bucket, and half of that is added.
simulation::Link measure_link(Communicator& ranks, const Cluster& cluster) {
  const double count = ranks.size();
  const bool halving = (ranks.size() & (ranks.size() - 1)) == 0;
  const double messages = halving ? 2 * std::log2(count) : 2;
  const double small = exchange_seconds(ranks, kSmallBucket), large = exchange_seconds(ranks, kLargeBucket);
  const double bytes = kLargeBucket * sizeof(float), moved = 2 * (count - 1) / count * bytes;
  const double in_turn = std::max(1.0, count / cluster.cores);  // ranks that copy and add on one core
  const double adding = moved / 2 / cluster.add_bytes_per_second * in_turn;
  const double copying = std::max(large - small - adding, 0.05 * large);
  return {.bytes_per_second = moved * in_turn / copying, .latency = small / messages};
}

/// Of messages to and fro between rank 0 and `peer`.
simulation::Link measure_wire(Communicator& all, int peer) {
  simulation::Link link;
  double small = 0;
  for (const std::size_t elements : {kSmallBucket, kLargeBucket}) {
    FloatBuffer buffer(elements);
    const std::size_t bytes = elements * sizeof(float);
    std::vector<double> seconds;
    for (int i = 0; i < kExchanges && (all.rank() == 0 || all.rank() == peer); ++i) {
      const Clock::time_point begin = Clock::now();
      const int other = all.rank() == 0 ? peer : 0;
      if (all.rank() == 0) all.send(buffer.data(), bytes, other, 1)->wait();
      all.receive(buffer.data(), bytes, other, 1)->wait();
      if (all.rank() != 0) all.send(buffer.data(), bytes, other, 1)->wait();
      seconds.push_back(seconds_since(begin) / 2);
    }
    double median = seconds.empty() ? 0 : median_of(seconds);
    all.broadcast(&median, sizeof median, 0);
    if (elements == kSmallBucket)
      link.latency = small = median;
    else
      link.bytes_per_second = static_cast<double>(bytes) / std::max(median - small, 0.05 * median);
  }
  return link;
}

void measure_storage(const Config& config, const Planner& planner, Cluster& cluster) {
  const MemoryOfRank memory = planner.plan(1).memory;
  const auto runs = config.get<std::filesystem::path>("runs");
  CheckpointBenchOptions options;
  options.folder = std::filesystem::is_directory(runs) ? runs : ".";
  options.size_bytes = std::clamp<std::int64_t>(static_cast<std::int64_t>(memory.parameters + memory.slots + memory.state), 1024,
                                                kLargestCheckpoint);
  options.tensors = static_cast<int>(planner.update().parameters.size());
  options.repeats = 3;
  const CheckpointBenchResult result = bench_checkpoint(options);
  cluster.write_bytes_per_second = median_of(result.background);
  cluster.copy_bytes_per_second = median_of(result.stall);
}

}  // namespace

Cluster probe(const Config& config, World& world, const Dataset& data) {
  Communicator& all = world.all();
  all.at("the probe", -1);
  check_ranks(config, world.size());
  const auto backend = make_backend(config, find_seats(config, all, world.host()), computation_of(config));
  const Planner planner(config, data.info(), nullptr);
  const Seating seating = seat(world);
  Cluster cluster;
  cluster.device = backend->device().is_host() ? "cpu" : "cuda";
  cluster.cores = cluster.is_host() ? usable_cores() : 0;
  cluster.ranks = cluster.is_host() ? std::max(usable_cores(), seating.here) : seating.here;
  cluster.memory_bytes = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  measure_steps(config, all, data, planner, *backend, seating, cluster);
  cluster.add_bytes_per_second = mean_over_ranks(all, measure_add());
  if (cluster.is_host() && seating.neighbours->size() > 1) cluster.intra = measure_link(*seating.neighbours, cluster);
  if (seating.first_elsewhere > 0) cluster.inter = measure_wire(all, seating.first_elsewhere);
  all.barrier();
  if (world.rank() == 0) {
    const Limits limits = measure_limits(*backend, std::vector<DType>{compute_type(config)}, {.threads = 1, .repetitions = 3});
    cluster.flops_per_second = 2 * limits.multiply_adds_per_second.begin()->second;
    cluster.bytes_per_second = limits.bytes_per_second;
    measure_storage(config, planner, cluster);
  }
  const std::string text = all.broadcast_string(world.rank() == 0 ? cluster_text(cluster, "") : "", 0);
  return parse_cluster(text, "the probe's results");
}

}  // namespace convoy
