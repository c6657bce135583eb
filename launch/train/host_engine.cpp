// The engine of a host: threads with a micro-batch program each, and a reducer that exchanges while they compute. A step is
// over when begin() returns.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/ops/guard_math.h"
#include "core/optim/scalars.h"
#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "launch/train/engine_parts.h"
#include "launch/train/workers.h"

namespace convoy {
namespace {

/// By bucket: no op of the micro-batch program reads a leaf in it behind the call that hands it in, as the backward of batch
/// norm reads the moments.
std::vector<bool> lendable_buckets(const TrainingGraph& training) {
  std::vector<bool> lendable(static_cast<std::size_t>(training.buckets.buckets()), true);
  std::map<int, int> bucket_of;  // by value
  for (const LeafSlot& slot : training.buckets.slots) bucket_of[slot.value.id] = slot.bucket;
  std::set<int> handed_in;
  for (const Op& op : training.graph.ops()) {
    if (op.kind == OpKind::external) {
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

class HostEngine final : public StepEngine {
 public:
  HostEngine(const TrainingGraph& training, const UpdateGraph& update, const Backend& backend, StateMemory& memory,
             const EngineOptions& options)
      : training_(training),
        update_(update),
        options_(with_threads(training, options)),
        memory_(memory),
        scalars_({kStepScalars}, DType::f64),
        program_(update.graph, backend, ProgramOptions{}) {
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
                       .poison = options.poison,
                       .before_input = options.before_input,
                       .before_compute = options.before_compute});
    bind_update_state(program_, update, memory, scalars());
  }

  void connect(Communicator& world) override {
    if (batch_sums_) batch_sums_->connect(world, options_.reduction, options_.virtual_workers);
    reducer_ = make_reducer(world, {.kind = options_.reduction,
                                    .virtual_workers = options_.virtual_workers,
                                    .bucket_elements = bucket_elements(training_),
                                    .rounding = training_.buckets.rounding,
                                    .threads = options_.threads,
                                    .lends = lends_,
                                    .before_exchange = options_.before_exchange});
  }

  int depth() const override { return 1; }
  int under_way() const override { return result_ ? 1 : 0; }

  void begin(const StepOrder& order) override {
    if (result_) throw Error("a step began before the result of the one before was taken");
    const std::int64_t begin = trace::now();
    const double data_before = workers_->data_wait_seconds(), wait_before = reducer_->exposed_seconds();
    StepResult result{.step = order.step, .rate = order.rate, .wanted = order.wanted, .loss_scale = scalars()[kLossScale]};
    reducer_->begin(order.step + 1);
    workers_->run_step(order.step, *order.loader, *reducer_, order.asked);
    result.arrival_ns = trace::now();  // the last local bucket has just been handed in
    reducer_->finish();
    apply(order, result);
    result.ledgers = workers_->take_ledgers();
    result.parts = {.input = workers_->data_wait_seconds() - data_before,
                    .communication = reducer_->exposed_seconds() - wait_before};
    result.seconds = 1e-9 * static_cast<double>(trace::now() - begin);
    result.parts.compute = std::max(0.0, result.seconds - result.parts.input - result.parts.communication);
    result_ = std::move(result);
    asked_ = order.asked;
  }

  StepResult take() override {
    if (!result_) throw Error("no step is under way");
    StepResult taken = std::move(*result_);
    result_.reset();
    return taken;
  }
  Requests discard() override { return std::exchange(result_, std::nullopt) ? asked_ : Requests{}; }
  void go_on() override { scalars()[kHalted] = 0; }

  std::vector<NotFinite> replay(std::int64_t step, Loader& loader) override { return workers_->replay(step, loader); }
  void read_state() override {}
  void write_state() override {}
  KeptScalars kept_scalars() override { return kept_in(scalars()); }
  void set_kept_scalars(const KeptScalars& kept) override { keep_in(scalars(), kept); }

  std::size_t memory_bytes() const override { return memory_.bytes() + workers_->memory_bytes() + reducer_->memory_bytes(); }
  void set_profile(bool on) override { workers_->set_profile(on); }
  std::vector<const Program*> programs() const override {
    std::vector<const Program*> all;
    for (int thread = 0; thread < workers_->threads(); ++thread) all.push_back(&workers_->program(thread));
    return all;
  }

 private:
  static EngineOptions with_threads(const TrainingGraph& training, EngineOptions options) {
    options.threads = host_threads(training, options.threads, options.last_leaf - options.first_leaf);
    return options;
  }

  double* scalars() { return scalars_.values<double>().data(); }

  void apply(const StepOrder& order, StepResult& result) {
    const trace::Doing update(trace::Activity::update, "the optimizer");
    bind_sums();
    scalars()[kLearningRate] = order.rate;
    scalars()[kWanted] = order.wanted ? 1 : 0;
    program_.run();
    result.loss = reduced(training_.loss);
    result.weight = reduced(training_.weight);
    result.top1 = reduced(training_.top1);
    result.top5 = reduced(training_.top5);
    const float* asked = roots_.back() + (bucket_elements(training_).back() - kAsked);
    result.asked = {asked[kAskCheckpoint], asked[kAskStop]};
    result.finite = scalars()[kFinite] != 0;
    result.applied = scalars()[kApply] != 0;
    result.halted = scalars()[kHalted] != 0;
  }

  /// Where the reducer left its sums may differ from step to step.
  void bind_sums() {
    std::vector<float*> roots;
    for (int bucket = 0; bucket < training_.buckets.buckets(); ++bucket)
      roots.push_back(const_cast<float*>(reducer_->result(bucket).data()));
    if (roots == roots_) return;
    roots_ = std::move(roots);
    bind_update_sums(program_, update_, training_, roots_);
  }

  double reduced(Value leaf) const {
    const LeafSlot& slot = training_.buckets.slot_of(leaf);
    return static_cast<double>(roots_[static_cast<std::size_t>(slot.bucket)][slot.offset]);
  }

  const TrainingGraph& training_;
  const UpdateGraph& update_;
  const EngineOptions options_;
  const StateMemory& memory_;
  Tensor scalars_;
  Program program_;  // the update
  const std::vector<bool> lends_ = lendable_buckets(training_);
  std::unique_ptr<BatchSums> batch_sums_;  // null where nobody asks for them
  std::unique_ptr<Workers> workers_;
  std::unique_ptr<GradientReducer> reducer_;
  std::vector<float*> roots_;
  std::optional<StepResult> result_;
  Requests asked_{};
};

}  // namespace

std::unique_ptr<StepEngine> make_host_engine(const TrainingGraph& training, const UpdateGraph& update,
                                             const Backend& backend, StateMemory& memory, const EngineOptions& options) {
  return std::make_unique<HostEngine>(training, update, backend, memory, options);
}

}  // namespace convoy
