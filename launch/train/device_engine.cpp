#include "launch/train/device_engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/ops/guard_math.h"
#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "launch/train/check_labels.h"

namespace convoy {

DeviceEngine::DeviceEngine(const TrainingGraph& training, const UpdateGraph& update, const Backend& backend,
                           StateMemory& memory, const EngineOptions& options)
    : training_(training),
      update_graph_(update),
      options_(options),
      device_(backend.device()),
      memory_(memory),
      scalars_(device_.allocate(kStepScalars * sizeof(double))),
      program_(training.graph, backend, ProgramOptions{.threads = 1, .outside = training.leaves, .keep = {}}),
      update_(update.graph, backend, ProgramOptions{}),
      inputs_(training, device_),
      sums_(device_, bucket_elements(training), training.buckets.rounding, options.first_leaf, options.last_leaf,
            options.virtual_workers, inputs_.leaf()),
      results_(training, device_, scalars()),
      newest_(device_.make_event()) {
  for (Step& step : steps_) step.last_leaf = device_.make_event();
  inputs_.bind(program_);
  bind_state(program_, memory_);
  for (const LeafSlot& slot : training_.buckets.slots)
    program_.bind_memory(slot.value, sums_.gradients(slot.bucket) + slot.offset);
  if (const Value scale = training_.graph.find("loss_scale"); scale.exists())
    program_.bind_memory(scale, scalars() + kLossScaleFloat);
  program_.set_external([this](const ExternalAttributes& call) { bucket_ready(call.index); });
  bind_update_state(update_, update, memory_, scalars());
  set_kept_scalars({.loss_scale = first_loss_scale(training)});
}

void DeviceEngine::connect(Communicator& world) {
  world_ = &world;
  reduction_ = make_device_reduction(world, device_,
                                     {.kind = options_.reduction,
                                      .virtual_workers = options_.virtual_workers,
                                      .buckets = sums_.described(),
                                      .before_exchange = options_.before_exchange},
                                     options_.transport);
  for (int bucket = 0; bucket < training_.buckets.buckets(); ++bucket) roots_.push_back(reduction_->result(bucket));
  bind_update_sums(update_, update_graph_, training_, roots_);
  capture();
}

/// Every kernel runs once outside a capture first: libraries make ready at a kernel's first launch, and what fails is told
/// by the op's own call. The inputs are zeros and nothing is wanted, so that nothing changes.
void DeviceEngine::capture() {
  program_.run();
  run_update();
  device_.synchronize(Stream::compute);
  if (options_.last_leaf - options_.first_leaf > 1)
    accumulate_ = device_.capture([this] { run_program(Role::accumulates); });
  if (reduction_->can_be_captured()) complete_ = device_.capture([this] { run_program(Role::completes); });
  apply_ = device_.capture([this] { run_update(); });
}

void DeviceEngine::run_program(Role role) {
  role_ = role;
  program_.run();
  if (role == Role::completes) reduction_->finish();
  role_ = Role::idle;
}

void DeviceEngine::run_update() {
  update_.run();
  results_.gather(roots_);
}

/// Called by the micro-batch program where the gradients of a bucket are complete.
void DeviceEngine::bucket_ready(int bucket) {
  if (role_ == Role::idle) return;
  if (bucket + 1 == training_.buckets.buckets())
    device_.copy(Stream::compute, sums_.gradients(bucket) + (sums_.elements(bucket) - kAsked), inputs_.asked(),
                 kAsked * sizeof(float));
  sums_.fold(bucket);
  if (role_ == Role::completes) reduction_->bucket_ready(bucket);
}

DeviceWait DeviceEngine::waiting(std::string_view what, std::int64_t step, trace::Activity activity) const {
  return {.what = what,
          .step = step + 1,
          .deadline = world_->deadline(),
          .activity = activity,
          .meanwhile = [this] { reduction_->check(); }};
}

void DeviceEngine::begin(const StepOrder& order) {
  if (under_way() == depth()) throw Error("a step began before the results of those before were taken");
  const std::size_t way = begun_ % steps_.size();
  Step& step = steps_[way];
  step.result = {.step = order.step, .rate = order.rate, .wanted = order.wanted, .arrival_ns = -1};
  step.asked = order.asked;
  step.began_ns = trace::now();
  const double exposed_before = reduction_->exposed_seconds();
  reduction_->begin(order.step + 1);
  for (int leaf = options_.first_leaf; leaf < options_.last_leaf; ++leaf) run_leaf(order, step, leaf);
  step.result.arrival_ns = reduction_->arrival_ns();
  step.result.parts.communication = reduction_->exposed_seconds() - exposed_before;
  const trace::Doing update(trace::Activity::update, "the optimizer");
  results_.order(way, order);
  apply_->launch();
  results_.send(way);
  device_.record(Stream::compute, *newest_);
  ++begun_;
}

void DeviceEngine::run_leaf(const StepOrder& order, Step& step, int leaf) {
  const bool first = leaf == options_.first_leaf, last = leaf + 1 == options_.last_leaf;
  const std::shared_ptr<MicroBatch> batch = next_batch(order, step, leaf);
  if (first && options_.before_compute) options_.before_compute(order.step + 1);
  const std::string name = fmt::format("micro-batch {}", leaf);
  const trace::Doing computing(trace::Activity::compute, name);
  inputs_.put(*batch, leaf - options_.first_leaf, first ? order.asked : Requests{},
              waiting("the samples before the last", order.step, trace::Activity::compute));
  if (last) device_.record(Stream::compute, *step.last_leaf);
  const auto& replay = last ? complete_ : accumulate_;
  if (is_poisoned(*batch)) {
    program_.set_observer([&](int op, std::span<const Value>) {
      const Op& done = training_.graph.ops()[static_cast<std::size_t>(op)];
      if (done.kind == OpKind::prepare) poison(*batch, done.outputs.front());
      return true;
    });
    run_program(last ? Role::completes : Role::accumulates);
    program_.set_observer(nullptr);
  } else if (program_.profile || !replay) {
    run_program(last ? Role::completes : Role::accumulates);
  } else {
    replay->launch();
  }
  device_.record(Stream::compute, *newest_);
  note_samples(*batch, step.result.ledgers);
}

/// Waiting for samples counts only where the device ran dry meanwhile.
std::shared_ptr<MicroBatch> DeviceEngine::next_batch(const StepOrder& order, Step& step, int leaf) {
  const std::int64_t begin = trace::now();
  if (leaf == options_.first_leaf && options_.before_input) options_.before_input(order.step + 1);
  std::shared_ptr<MicroBatch> batch = order.loader->next(order.step, leaf);
  check_labels(*batch, options_.classes);
  if (device_.done(*newest_)) step.result.parts.input += 1e-9 * static_cast<double>(trace::now() - begin);
  return batch;
}

StepResult DeviceEngine::take() {
  if (under_way() == 0) throw Error("no step is under way");
  const std::size_t way = taken_ % steps_.size();
  Step& step = steps_[way];
  StepResult& result = step.result;
  DeviceWait wait = waiting("the training step", result.step, trace::Activity::compute);
  wait.meanwhile = [&] {
    reduction_->check();
    if (result.arrival_ns < 0 && device_.done(*step.last_leaf)) result.arrival_ns = trace::now();
  };
  wait_until_done(device_, results_.sent(way), wait);
  const Scalars scalars = results_.read(way, result);
  result.loss_scale = std::exchange(scale_, scalars[kLossScale]);
  const std::int64_t now = trace::now();
  if (result.arrival_ns < 0) result.arrival_ns = now;
  result.seconds = 1e-9 * static_cast<double>(now - std::max(taken_ns_, step.began_ns));
  result.parts.compute = std::max(0.0, result.seconds - result.parts.input - result.parts.communication);
  taken_ns_ = now;
  ++taken_;
  return std::move(result);
}

Requests DeviceEngine::discard() {
  Requests asked{};
  for (; taken_ < begun_; ++taken_) {
    const Step& step = step_at(taken_);
    wait_until_done(device_, results_.sent(taken_ % steps_.size()),
                    waiting("a step that is given up", step.result.step, trace::Activity::compute));
    for (std::size_t i = 0; i < asked.size(); ++i) asked[i] = std::max(asked[i], step.asked[i]);
  }
  return asked;
}

/// Host and device have the same state where no step began since they last had.
void DeviceEngine::read_state() {
  if (equal_at_ == begun_) return;
  memory_.download();
  equal_at_ = begun_;
}

void DeviceEngine::write_state() {
  memory_.upload();
  equal_at_ = begun_;
}

DeviceEngine::Scalars DeviceEngine::read_scalars() {
  Scalars scalars;
  device_.copy(Stream::compute, scalars.data(), scalars_.get(), sizeof scalars);
  device_.synchronize(Stream::compute);
  return scalars;
}

void DeviceEngine::write_scalars(const Scalars& scalars) {
  device_.copy(Stream::compute, scalars_.get(), scalars.data(), sizeof scalars);
  device_.synchronize(Stream::compute);
}

void DeviceEngine::go_on() {
  Scalars scalars = read_scalars();
  scalars[kHalted] = 0;
  scale_ = scalars[kLossScale];
  write_scalars(scalars);
}

KeptScalars DeviceEngine::kept_scalars() { return kept_in(read_scalars().data()); }

void DeviceEngine::set_kept_scalars(const KeptScalars& kept) {
  Scalars scalars = read_scalars();
  keep_in(scalars.data(), kept);
  scale_ = kept.loss_scale;
  write_scalars(scalars);
}

std::size_t DeviceEngine::memory_bytes() const {
  return program_.arena_bytes() + program_.scratch_bytes() + update_.scratch_bytes() + inputs_.memory_bytes() +
         sums_.memory_bytes() + (reduction_ ? reduction_->memory_bytes() : 0) + memory_.bytes();
}

void DeviceEngine::set_profile(bool on) { program_.profile = on; }

std::unique_ptr<StepEngine> make_device_engine(const TrainingGraph& training, const UpdateGraph& update,
                                               const Backend& backend, StateMemory& memory,
                                               const EngineOptions& options) {
  return std::make_unique<DeviceEngine>(training, update, backend, memory, options);
}

}  // namespace convoy
