#include "launch/commands/step_bench.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/random/philox.h"
#include "core/tensor/error.h"
#include "distributed/threads/thread_world.h"
#include "launch/commands/bench_task.h"
#include "launch/train/run_spec.h"

namespace convoy {
namespace {

/// One random micro-batch for each virtual worker, again and again.
class SyntheticLoader : public Loader {
 public:
  SyntheticLoader(const Task& task, int micro_batches) {
    const std::int64_t rows = task.micro_batch;
    for (int index = 0; index < micro_batches; ++index) {
      auto batch = std::make_shared<MicroBatch>();
      batch->index = index;
      std::vector<std::int64_t> extents{rows};
      extents.insert(extents.end(), task.image.extents().begin(), task.image.extents().end());
      batch->images = Tensor(Shape(extents), task.stored);
      batch->labels = Tensor({rows}, DType::i32);
      batch->weights = Tensor({rows}, DType::f32);
      batch->transforms = Tensor({rows, 4}, DType::i32);
      batch->keys = Tensor({rows, 2}, DType::u64);
      const RandomKey key = RandomKey(1, "bench").child(static_cast<std::uint64_t>(index));
      auto pixels = batch->images.values<std::uint8_t>();
      for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(key.word(i));
      for (std::int64_t row = 0; row < rows; ++row) {
        const auto r = static_cast<std::size_t>(row);
        batch->labels.values<std::int32_t>()[r] = static_cast<std::int32_t>(
            key.child(1).below(r, static_cast<std::uint64_t>(task.classes)));
        batch->weights.values<float>()[r] = 1;
        batch->keys.values<std::uint64_t>()[2 * r + 1] = r;
      }
      batches_.push_back(std::move(batch));
    }
  }
  std::shared_ptr<MicroBatch> next(std::int64_t, int index) override {
    return batches_[static_cast<std::size_t>(index)];
  }
  double wait_seconds() const override { return 0; }

 private:
  std::vector<std::shared_ptr<MicroBatch>> batches_;
};

/// Micro-batches one behind the other.
Tensor joined(const std::vector<Tensor>& parts) {
  std::vector<std::int64_t> extents(parts.front().shape().extents().begin(), parts.front().shape().extents().end());
  extents[0] *= static_cast<std::int64_t>(parts.size());
  Tensor whole(Shape(extents), parts.front().dtype());
  std::byte* to = whole.bytes();
  for (const Tensor& part : parts) to = std::copy_n(part.bytes(), part.size_bytes(), to);
  return whole;
}

/// A power of two, so large that the rounding of a parameter's new value does not hide a small gradient.
constexpr double kDumpRate = 4096;

/// Dropout layers hand on what they are given.
void keep_everything(Graph& graph) {
  for (Op& op : graph.ops())
    if (op.kind == OpKind::dropout) std::get<DropoutAttributes>(op.attributes).rate = 0;
}

}  // namespace

StepBench::StepBench(const Config& config, const Backend& backend, const OptimizerOptions& sgd, Dropout dropout)
    : task(bench_task(config)),
      world(make_thread_world(1)),
      batch(config.get<std::int64_t>("batch")),
      virtual_workers(config.get<int>("virtual-workers")) {
  if (batch % virtual_workers)
    throw UsageError(fmt::format("--batch={} cannot be cut into --virtual-workers={} equal parts", batch, virtual_workers));
  task.micro_batch = batch / virtual_workers;
  if (config.get<std::string>("model.batch-norm") == "global") task.normalised_micro_batches = virtual_workers;
  const bool on_host = backend.device().is_host();
  const int all = !on_host ? 1 : config.get<int>("device.threads") ? config.get<int>("device.threads") : usable_cores();
  const int asked = on_host ? config.get<int>("threads-per-micro-batch") : 1;
  threads_per_micro_batch = asked ? asked : std::max(all / virtual_workers, 1);
  threads = threads_for(std::max(all / threads_per_micro_batch, 1), all, 1, virtual_workers);
  training = build_training_graph(task, std::size_t{4} << 20);
  if (dropout == Dropout::off) keep_everything(training.graph);
  if (on_host) threads = host_threads(training, threads, virtual_workers);
  update = build_update_graph(training.graph, training.gradients, sgd, virtual_workers,
                              guard_options(training, scales_loss(training)));
  state = initial_state(training.graph, update, 1, *world[0]);
  memory = std::make_unique<StateMemory>(state, backend.device());
  engine = make_step_engine(training, update, backend, *memory,
                            {.first_leaf = 0,
                             .last_leaf = virtual_workers,
                             .virtual_workers = virtual_workers,
                             .threads = threads,
                             .threads_per_micro_batch = threads_per_micro_batch,
                             .classes = task.classes});
  engine->connect(*world[0]);
  loader = std::make_unique<SyntheticLoader>(task, virtual_workers);
}

void StepBench::begin(double rate) {
  if (engine->under_way() == engine->depth()) engine->take();
  engine->begin({.step = step, .rate = rate, .loader = loader.get()});
  ++step;
}

void StepBench::finish() {
  while (engine->under_way() > 0) engine->take();
}

StepDump StepBench::dump() {
  StepDump dump;
  std::vector<Tensor> images, labels;
  for (int index = 0; index < virtual_workers; ++index) {
    const std::shared_ptr<MicroBatch> micro_batch = loader->next(0, index);
    images.push_back(micro_batch->images);
    labels.push_back(micro_batch->labels);
  }
  dump.images = joined(images);
  dump.labels = joined(labels);
  dump.mean = task.prepare.mean.front();
  dump.deviation = task.prepare.deviation.front();
  for (const auto& parameter : update.parameters) {
    dump.parameters.push_back(parameter.name);
    dump.before[parameter.name] = state.parameters.at(parameter.name).clone();
  }
  dump.rate = kDumpRate;
  begin(dump.rate);
  const StepResult result = engine->take();
  if (!result.applied) throw Error("the step was not applied: its gradient is not finite");
  engine->read_state();
  for (const auto& parameter : update.parameters) dump.after[parameter.name] = state.parameters.at(parameter.name).clone();
  dump.loss = result.loss / result.weight;
  return dump;
}

}  // namespace convoy
