#include "launch/train/host_engine.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/ops/guard_math.h"
#include "core/optim/scalars.h"
#include "core/tensor/error.h"
#include "core/trace/trace.h"

namespace convoy {
namespace {

EngineOptions with_threads(const TrainingGraph& training, EngineOptions options) {
  options.threads = host_threads(training, options.threads, options.last_leaf - options.first_leaf);
  return options;
}

}  // namespace

std::vector<bool> lendable_buckets(const TrainingGraph& training) {
  std::vector<bool> lendable(static_cast<std::size_t>(training.buckets.buckets()), true);
  std::map<int, int> bucket_of;  // by value
  for (const LeafSlot& slot : training.buckets.slots) bucket_of[slot.value.id] = slot.bucket;
  std::set<int> handed_in;
  for (const Op& op : training.graph.ops()) {
    if (op.kind == OpKind::external && op.as<ExternalAttributes>().name == kBucketReady) {
      handed_in.insert(op.as<ExternalAttributes>().index);
      continue;
    }
    for (const Value input : op.inputs) {
      const auto leaf = bucket_of.find(input.id);
      if (leaf == bucket_of.end()) continue;
      if (handed_in.contains(leaf->second)) lendable[static_cast<std::size_t>(leaf->second)] = false;
      if (op.kind == OpKind::reshape) bucket_of[op.outputs.front().id] = leaf->second;  // the same memory
    }
  }
  return lendable;
}

void BlockingEngine::begin(const StepOrder& order) {
  if (result_) throw Error("a step began before the result of the one before was taken");
  const std::int64_t begin = trace::now();
  StepResult result = run(order);
  result.seconds = 1e-9 * static_cast<double>(trace::now() - begin);
  result.parts.compute = std::max(0.0, result.seconds - result.parts.input - result.parts.communication);
  seconds_ += result.seconds;
  waited_seconds_ += result.parts.communication;
  result_ = std::move(result);
  asked_ = order.asked;
}

StepResult BlockingEngine::take() {
  if (!result_) throw Error("no step is under way");
  StepResult taken = std::move(*result_);
  result_.reset();
  return taken;
}

Requests BlockingEngine::discard() { return std::exchange(result_, std::nullopt) ? asked_ : Requests{}; }

std::optional<Traffic> BlockingEngine::traffic() const {
  Traffic traffic = sent();
  traffic.waited_seconds = waited_seconds_;
  traffic.seconds = seconds_;
  return traffic;
}

HostUpdate::HostUpdate(const TrainingGraph& training, const UpdateGraph& update, const Backend& backend,
                       const StateMemory& memory, double* scalars)
    : training_(training), update_(update), scalars_(scalars), program_(update.graph, backend, ProgramOptions{}) {
  bind_update_state(program_, update, memory, scalars);
}

void HostUpdate::run(const std::vector<float*>& roots, const StepOrder& order) {
  const trace::Doing update(trace::Activity::update, "the optimizer");
  if (roots != roots_) {
    roots_ = roots;
    bind_update_sums(program_, update_, training_, roots_);
  }
  scalars_[kLearningRate] = order.rate;
  scalars_[kWanted] = order.wanted ? 1 : 0;
  program_.run();
}

void read_sums(const TrainingGraph& training, const std::vector<float*>& roots, StepResult& result) {
  const auto reduced = [&](Value leaf) {
    const LeafSlot& slot = training.buckets.slot_of(leaf);
    return static_cast<double>(roots[static_cast<std::size_t>(slot.bucket)][slot.offset]);
  };
  result.loss = reduced(training.loss);
  result.weight = reduced(training.weight);
  result.top1 = reduced(training.top1);
  result.top5 = reduced(training.top5);
  const float* asked = roots.back() + (bucket_elements(training).back() - kAsked);
  result.asked = {asked[kAskCheckpoint], asked[kAskStop]};
}

HostEngine::HostEngine(const TrainingGraph& training, const UpdateGraph& update, const Backend& backend, StateMemory& memory,
                       const EngineOptions& options)
    : training_(training),
      options_(with_threads(training, options)),
      memory_(memory),
      scalars_({kStepScalars}, DType::f64),
      lends_(lendable_buckets(training)),
      update_(training, update, backend, memory, scalars()) {
  math::set_loss_scale(first_loss_scale(training), scalars());
  if (std::vector<std::int64_t> elements = batch_sum_elements(training); !elements.empty())
    batch_sums_ = std::make_unique<BatchSums>(std::move(elements), options.last_leaf - options.first_leaf);
  workers_ = std::make_unique<Workers>(
      training, backend, memory,
      WorkersOptions{.threads = options_.threads,
                     .threads_per_micro_batch = options.threads_per_micro_batch,
                     .first_leaf = options.first_leaf,
                     .last_leaf = options.last_leaf,
                     .batch_sums = batch_sums_.get(),
                     .lends = lends_,
                     .loss_scale = &scalars()[kLossScaleFloat],
                     .exchange = options.exchange,
                     .made_at = options.made_at,
                     .poison = options.poison,
                     .before_input = options.before_input,
                     .before_compute = options.before_compute});
}

void HostEngine::connect(Communicator& world, int reduced_as) {
  workers_->reduce_as(reduced_as);
  if (batch_sums_) batch_sums_->connect(world, options_.reduction, options_.virtual_workers);
  reducer_ = make_reducer(world, {.kind = options_.reduction,
                                  .virtual_workers = options_.virtual_workers,
                                  .bucket_elements = bucket_elements(training_),
                                  .rounding = training_.buckets.rounding,
                                  .threads = options_.threads,
                                  .lends = lends_,
                                  .before_exchange = options_.before_exchange});
}

StepResult HostEngine::run(const StepOrder& order) {
  compute(order);
  update(order);
  return result(order);
}

void HostEngine::compute(const StepOrder& order) {
  before_ = {.input = workers_->data_wait_seconds(), .communication = reducer_->exposed_seconds()};
  loss_scale_ = scalars()[kLossScale];
  reducer_->begin(order.step + 1);
  workers_->run_step(order.step, *order.loader, *reducer_, order.asked);
  arrival_ns_ = trace::now();  // the last local bucket has just been handed in
  reducer_->finish();
  roots_.clear();
  for (int bucket = 0; bucket < training_.buckets.buckets(); ++bucket)
    roots_.push_back(const_cast<float*>(reducer_->result(bucket).data()));
}

StepResult HostEngine::result(const StepOrder& order) {
  StepResult result{.step = order.step, .rate = order.rate, .wanted = order.wanted, .loss_scale = loss_scale_};
  read_sums(training_, roots_, result);
  result.finite = scalars()[kFinite] != 0;
  result.applied = scalars()[kApply] != 0;
  result.halted = scalars()[kHalted] != 0;
  result.arrival_ns = arrival_ns_;
  result.ledgers = workers_->take_ledgers();
  result.parts = {.input = workers_->data_wait_seconds() - before_.input,
                  .communication = reducer_->exposed_seconds() - before_.communication};
  return result;
}

void HostEngine::go_on() { scalars()[kHalted] = 0; }

std::size_t HostEngine::memory_bytes() const {
  return memory_.bytes() + workers_->memory_bytes() + reducer_->memory_bytes();
}

std::vector<const Program*> HostEngine::programs() const {
  std::vector<const Program*> all;
  for (int thread = 0; thread < workers_->threads(); ++thread) all.push_back(&workers_->program(thread));
  return all;
}

std::unique_ptr<StepEngine> make_host_engine(const TrainingGraph& training, const UpdateGraph& update,
                                             const Backend& backend, StateMemory& memory, const EngineOptions& options) {
  return std::make_unique<HostEngine>(training, update, backend, memory, options);
}

}  // namespace convoy
