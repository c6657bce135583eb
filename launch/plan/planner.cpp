#include "launch/plan/planner.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>

#include "core/backend/cpu/isa.h"
#include "core/tensor/error.h"
#include "launch/check.h"
#include "launch/check_mode.h"
#include "launch/layer_options.h"
#include "launch/plan/booking_backend.h"
#include "launch/train/step_engine.h"

namespace convoy {
namespace {

using simulation::Algorithm;

constexpr int kMostWorkers = 64;               // of parameter servers that are simulated one by one
constexpr double kUpdateTraffic = 5.0 / 3.0;   // arrays that an update touches (gradient, weight, slot, both written) per addition's

simulation::Machine machine_of(const Cluster& cluster, int per_node) {
  return {.ranks_per_node = per_node,
          .cores = static_cast<int>(cluster.cores),
          .nics = std::min(static_cast<int>(cluster.nics), per_node),
          .intra = cluster.intra,
          .inter = cluster.inter,
          .copies_on_cores = cluster.is_host(),
          .add_bytes_per_second = cluster.add_bytes_per_second};
}

void check_links(const Cluster& cluster, const simulation::Layout& layout) {
  const auto need = [](const simulation::Link& link, const char* section, const std::string& ranks) {
    if (link.bytes_per_second > 0) return;
    throw UsageError(fmt::format("--cluster: {} need [{}] bytes-per-second, which the cluster file does not have; convoy plan --probe "
                                 "under mpirun -n 2 measures it between the ranks of this machine",
                                 ranks, section));
  };
  if (layout.per_node > 1) need(cluster.intra, "link.intra", fmt::format("{} ranks on a node", layout.per_node));
  if (layout.nodes() > 1) need(cluster.inter, "link.inter", fmt::format("{} nodes", layout.nodes()));
}

/// 0: colocated.
int servers_asked(const Config& config) {
  const auto text = config.get<std::string>("servers");
  if (text == "colocated") return 0;
  int servers = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), servers);
  if (error != std::errc{} || end != text.data() + text.size() || servers < 1)
    throw UsageError(fmt::format("servers = {}: expected colocated, or a number of at least 1", text));
  return servers;
}

}  // namespace

DatasetInfo assumed_data(const Config& config) {
  const ModelEntry& model = find_model(config.get<std::string>("model.name"));
  DatasetInfo data;
  data.task = "classification";
  const auto image = config.get<std::vector<std::int64_t>>("image");
  data.sample = image.empty() ? model.input : Shape(image);
  if (const auto size = config.get<std::vector<std::int64_t>>("data.size"); !size.empty()) {
    data.sample = Shape{size.front(), size.back(), data.sample[-1]};
    data.has_views = true;
  }
  data.stored = data.sample;
  data.samples = data.stored_samples = config.get<std::int64_t>("samples");
  const std::int64_t asked = config.get<std::int64_t>("model.classes");
  for (std::int64_t i = 0; i < (asked > 0 ? asked : model.classes); ++i) data.class_names.push_back(std::to_string(i));
  const auto channels = static_cast<std::size_t>(data.sample[-1]);
  data.channel_mean.assign(channels, 127.5);
  data.channel_std.assign(channels, 64.0);
  if (channels == 3) {
    data.color_values.assign(3, 1);
    data.color_vectors = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  }
  return data;
}

struct Planner::State {
  const Config& config;
  const Cluster* cluster;
  RunSpec spec;                    // of one rank where the batch grows with the ranks
  std::int64_t batch_per_rank = 0; // 0: it does not
  TrainingGraph training;
  UpdateGraph update;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Program> micro_batch, update_program;
  double seconds = 0, step_seconds = 0;  // of a micro-batch; of what a step does once
  bool measured = false;
  ProgramCosts costs;
  /// The micro-batch program cut into buckets of one size.
  struct Cut {
    std::vector<double> segments;
    std::vector<simulation::Bucket> buckets;
  };
  mutable std::map<std::size_t, Cut> cuts;  // by distributed.bucket-bytes

  State(const Config& given, const DatasetInfo& data, const Cluster* on);
  RunSpec spec_for(int ranks) const;
  void build();
  void estimate();
  int threads_of(int per_node, int micro_batches) const;
  ReductionKind reduction() const {
    return config.get<std::string>("reduction") == "fast" ? ReductionKind::fast : ReductionKind::deterministic;
  }
  Cut cut_of(const TrainingGraph& with) const;
  const Cut& cut_into(std::size_t bucket_bytes) const;
  simulation::StepModel step_model(std::size_t bucket_bytes, const RunSpec& of, int threads) const;
  void simulate(RankPlan& plan, const RunSpec& of) const;
  void add_mode(RankPlan& plan, const std::string& name, const simulation::StepForecast& step) const;
  void add_servers(RankPlan& plan, const simulation::Machine& machine) const;
  void plan_saves(RankPlan& plan) const;
  void try_bucket_sizes(RankPlan& plan, const RunSpec& of, const simulation::Machine& machine,
                        const simulation::Layout& layout) const;
  double gradient_bytes() const;
};

Planner::State::State(const Config& given, const DatasetInfo& data, const Cluster* on)
    : config(given), cluster(on), spec(make_run_spec(given, data)), batch_per_rank(given.get<std::int64_t>("batch-per-rank")) {
  spec = spec_for(1);
  build();
  if (cluster) estimate();
}

/// With a batch per rank: a micro-batch for each.
RunSpec Planner::State::spec_for(int ranks) const {
  RunSpec scaled = spec;
  if (batch_per_rank == 0) return scaled;
  scaled.batch = batch_per_rank * ranks;
  scaled.virtual_workers = ranks;
  scaled.task.micro_batch = batch_per_rank;
  scaled.epoch_steps = (config.get<std::int64_t>("train.epochs") * scaled.samples + scaled.batch - 1) / scaled.batch;
  scaled.last_step = config.get<std::int64_t>("train.steps") ? config.get<std::int64_t>("train.steps") : scaled.epoch_steps;
  return scaled;
}

void Planner::State::build() {
  training = build_training_graph(spec.task, spec.bucket_bytes, spec.gradient_sums);
  check_layer_options(config, training.graph);
  check_towers(config, training.graph);
  spec.optimizer.rate_factors = rate_factors(config, training.graph);
  update = build_update_graph(training.graph, training.gradients, spec.optimizer, spec.virtual_workers,
                              guard_options(training, scales_loss(training)));  // of the whole model: its state is on every rank
  if (spec.mode == Mode::model && config.get<std::vector<std::int64_t>>("ranks").front() > 1)
    training = part_of_tower(training, 0, spec.bucket_bytes, spec.gradient_sums).training;
  set_cpu_isa(config.get<std::string>("device.isa"));
  backend = make_booking_backend();  // the plan of a GPU's run, too, is made without one: on a login node
  micro_batch = std::make_unique<Program>(training.graph, *backend,
                                          ProgramOptions{.threads = spec.threads_per_micro_batch, .outside = training.leaves, .keep = {}});
  update_program = std::make_unique<Program>(update.graph, *backend, ProgramOptions{});
}

void Planner::State::estimate() {
  costs = costs_of(training, *cluster);
  seconds = costs.seconds();
  step_seconds = costs_of(update, *cluster).seconds();
  const auto batch = static_cast<double>(spec.task.micro_batch);
  const MeasuredNetwork* found = find_measured(*cluster, spec.task.model, config.get<std::string>("precision"), batch);
  if (!found) return;
  Task other = spec.task;
  other.micro_batch = std::llround(found->micro_batch);
  const bool same = other.micro_batch == spec.task.micro_batch;
  const ProgramCosts measured_costs =
      same ? costs : costs_of(build_training_graph(other, spec.bucket_bytes, spec.gradient_sums), *cluster);
  if (found->multiply_adds > 0 && std::abs(found->multiply_adds / measured_costs.multiply_adds - 1) > 0.01) return;  // another network
  measured = true;
  seconds = scaled_seconds(costs, measured_costs, found->seconds());
  if (found->step_seconds > 0) step_seconds = found->step_seconds;
}

int Planner::State::threads_of(int per_node, int micro_batches) const {
  if (cluster && !cluster->is_host()) return 1;
  const int cores = cluster ? static_cast<int>(cluster->cores) : usable_cores();
  const int threads = threads_for(config.get<int>("device.threads"), std::max(cores / spec.threads_per_micro_batch, 1), per_node,
                                  micro_batches);
  return host_threads(training, threads, micro_batches);
}

double Planner::State::gradient_bytes() const {
  double bytes = 0;
  for (std::int64_t elements : bucket_elements(training)) bytes += static_cast<double>(elements) * sizeof(float);
  return bytes;
}

Planner::State::Cut Planner::State::cut_of(const TrainingGraph& with) const {
  Cut cut{.segments = costs_of(with, *cluster).segments, .buckets = {}};
  const double whole = std::accumulate(cut.segments.begin(), cut.segments.end(), 0.0);
  for (double& segment : cut.segments) segment *= seconds / whole;
  const std::vector<std::int64_t> elements = bucket_elements(with);
  for (std::size_t bucket = 0; bucket < elements.size(); ++bucket)
    cut.buckets.push_back({static_cast<std::size_t>(elements[bucket]),
                           with.buckets.rounding[bucket] == SumRounding::bf16 ? 2.0 : 4.0});
  return cut;
}

const Planner::State::Cut& Planner::State::cut_into(std::size_t bucket_bytes) const {
  auto found = cuts.find(bucket_bytes);
  if (found != cuts.end()) return found->second;
  const bool as_planned = bucket_bytes == spec.bucket_bytes;
  Cut cut = as_planned ? cut_of(training) : cut_of(build_training_graph(spec.task, bucket_bytes, spec.gradient_sums));
  return cuts.emplace(bucket_bytes, std::move(cut)).first->second;
}

simulation::StepModel Planner::State::step_model(std::size_t bucket_bytes, const RunSpec& of, int threads) const {
  const Cut& cut = cut_into(bucket_bytes);
  simulation::StepModel model{.segments = cut.segments, .buckets = cut.buckets};
  model.virtual_workers = of.virtual_workers;
  model.lanes = threads;
  model.update_seconds = step_seconds;
  model.jitter = cluster->jitter;
  model.seed = config.get<std::uint64_t>("seed");
  return model;
}

void Planner::State::add_mode(RankPlan& plan, const std::string& name, const simulation::StepForecast& step) const {
  plan.modes.push_back({.mode = name,
                        .step_seconds = step.seconds,
                        .samples_per_second = static_cast<double>(plan.batch) / step.seconds,
                        .efficiency = step.compute / step.seconds,
                        .exposed_seconds = step.exposed,
                        .intra_bytes = step.intra_bytes,
                        .inter_bytes = step.inter_bytes,
                        .nic_busy = step.busiest_nic});
}

/// A push is of one micro-batch. Very many workers are simulated in proportion: as many servers fewer.
void Planner::State::add_servers(RankPlan& plan, const simulation::Machine& machine) const {
  const int asked = servers_asked(config);
  const bool colocated = asked == 0;
  const int servers = colocated ? plan.ranks : asked, workers = colocated ? plan.ranks : plan.ranks - servers;
  if (workers < 1) return;
  int scale = 1;
  while (std::max(workers, servers) / scale > kMostWorkers) scale *= 2;
  const double turns = machine.cores > 0 ? std::max(1.0, static_cast<double>(plan.per_node) / machine.cores) : 1;
  const double alone = seconds * turns;
  simulation::ServerModel model{.workers = std::max(1, workers / scale),
                                .servers = std::max(1, servers / scale),
                                .colocated = colocated,
                                .pulls_ahead = true,
                                .parameter_bytes = gradient_bytes(),
                                .gradient_bytes = gradient_bytes(),
                                .worker_seconds = alone,
                                .apply_bytes_per_second = cluster->add_bytes_per_second / kUpdateTraffic,
                                .jitter = cluster->jitter,
                                .seed = config.get<std::uint64_t>("seed")};
  simulation::ServerForecast forecast = simulation::simulate_servers(machine, model);
  forecast.pushes_per_second *= static_cast<double>(workers) / model.workers;
  forecast.staleness = (forecast.staleness + 1) * workers / model.workers - 1;
  const double rate = forecast.pushes_per_second * static_cast<double>(plan.micro_batch);
  plan.modes.push_back({.mode = "async",
                        .step_seconds = static_cast<double>(plan.batch) / rate,
                        .samples_per_second = rate,
                        .efficiency = forecast.pushes_per_second * alone / plan.ranks,
                        .nic_busy = forecast.nic_busy});
  plan.servers = ServerPlan{workers, servers, forecast};
}

void Planner::State::plan_saves(RankPlan& plan) const {
  plan.checkpoint_bytes = static_cast<double>(plan.memory.parameters + plan.memory.slots + plan.memory.state);
  if (cluster->node_hours == 0 || cluster->write_bytes_per_second == 0) return;
  const double copy = cluster->copy_bytes_per_second > 0 ? cluster->copy_bytes_per_second : cluster->write_bytes_per_second;
  plan.saves = simulation::plan_saves({.save_seconds = plan.checkpoint_bytes / copy,
                                       .write_seconds = plan.checkpoint_bytes / cluster->write_bytes_per_second,
                                       .restart_seconds = cluster->restart_seconds,
                                       .mean_between = cluster->node_hours * 3600 / plan.nodes});
}

void Planner::State::try_bucket_sizes(RankPlan& plan, const RunSpec& of, const simulation::Machine& machine,
                                      const simulation::Layout& layout) const {
  std::vector<std::size_t> sizes{of.bucket_bytes};
  for (std::size_t bytes = std::size_t{256} << 10; bytes <= std::size_t{256} << 20; bytes *= 4) sizes.push_back(bytes);
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  const Algorithm algorithm = cluster->is_host() ? Algorithm::tree : Algorithm::device_tree;
  for (std::size_t bytes : sizes) {
    const double step = simulate_sync(machine, layout, step_model(bytes, of, plan.threads), algorithm).seconds;
    plan.bucket_sizes.push_back({bytes, step});
  }
}

void Planner::State::simulate(RankPlan& plan, const RunSpec& of) const {
  const simulation::Layout layout{plan.ranks, plan.per_node, simulation::make_layout(plan.ranks, plan.per_node).folded};
  check_links(*cluster, layout);
  const simulation::Machine machine = machine_of(*cluster, plan.per_node);
  const simulation::StepModel model = step_model(of.bucket_bytes, of, plan.threads);
  const Algorithm own = cluster->is_host() ? Algorithm::tree : Algorithm::device_tree;
  const simulation::StepForecast sync = simulate_sync(machine, layout, model, own);
  plan.micro_batch_seconds = seconds;
  plan.update_seconds = step_seconds;
  plan.compute_seconds = sync.compute;
  plan.measured = measured;
  add_mode(plan, "sync", sync);
  if (plan.ranks > 1) {
    add_mode(plan, "sync fast", simulate_sync(machine, layout, model, Algorithm::ring));
    add_mode(plan, "sync hierarchical", simulate_sync(machine, layout, model, Algorithm::hierarchical));
    add_mode(plan, "local", simulate_local(machine, layout, model, Algorithm::ring, config.get<int>("average-every"),
                                           gradient_bytes() / sizeof(float)));
    add_servers(plan, machine);
    try_bucket_sizes(plan, of, machine, layout);
  }
  plan_saves(plan);
  for (ModePlan& mode : plan.modes)
    mode.hours = static_cast<double>(plan.steps) * static_cast<double>(plan.batch) / mode.samples_per_second / 3600 *
                 (plan.saves ? plan.saves->factor : 1);
}

Planner::Planner(const Config& config, const DatasetInfo& data, const Cluster* cluster)
    : state_(std::make_unique<State>(config, data, cluster)) {}
Planner::~Planner() = default;

const Program& Planner::micro_batch_program() const { return *state_->micro_batch; }
const Program& Planner::update_program() const { return *state_->update_program; }
const RunSpec& Planner::spec() const { return state_->spec; }
const TrainingGraph& Planner::training() const { return state_->training; }
const UpdateGraph& Planner::update() const { return state_->update; }

MemoryOfRank Planner::memory_of(int rank, const RankPlan& plan) const {
  const State& state = *state_;
  const auto [first, last] = leaves_of_rank(state.spec.mode, state.spec.local, rank, plan.ranks, plan.virtual_workers);
  return memory_of_rank(state.spec_for(plan.ranks), state.reduction(), state.training, state.update, *state.micro_batch,
                        {.rank = rank,
                         .ranks = plan.ranks,
                         .threads = state.threads_of(plan.per_node, last - first),
                         .on_device = state.cluster && !state.cluster->is_host()});
}

RankPlan Planner::plan(int ranks) const {
  const State& state = *state_;
  if (state.batch_per_rank == 0) check_ranks(state.config, ranks);
  const RunSpec of = state.spec_for(ranks);
  const simulation::Layout layout =
      simulation::make_layout(ranks, state.cluster ? std::max(1, static_cast<int>(state.cluster->ranks)) : 1);
  RankPlan plan;
  plan.ranks = ranks;
  plan.nodes = layout.nodes();
  plan.per_node = layout.per_node;
  for (int rank = 0; rank < ranks; ++rank) {  // most that any rank holds
    const auto [first, last] = leaves_of_rank(of.mode, of.local, rank, ranks, of.virtual_workers);
    plan.micro_batches = std::max(plan.micro_batches, last - first);
  }
  plan.threads = state.threads_of(layout.per_node, plan.micro_batches);
  plan.virtual_workers = of.virtual_workers;
  plan.buckets = state.training.buckets.buckets();
  plan.batch = of.batch;
  plan.micro_batch = of.task.micro_batch;
  plan.steps = of.last_step;
  plan.multiply_adds = 0;
  for (const OpDesc& op : describe_ops(state.training.graph, {}))
    plan.multiply_adds += cost_of(op.kind, op.attributes, op.inputs, op.outputs).multiply_adds;
  plan.memory = memory_of(ranks - 1, plan);
  if (state.cluster) state.simulate(plan, of);
  return plan;
}

}  // namespace convoy
