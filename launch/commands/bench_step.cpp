// convoy bench step: a whole training step (forward, backward, reduction, update) on data in memory.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "core/optim/scalars.h"
#include "core/random/philox.h"
#include "core/tensor/error.h"
#include "distributed/threads/thread_world.h"
#include "launch/commands/bench.h"
#include "launch/commands/bench_ceiling.h"
#include "launch/commands/bench_task.h"
#include "launch/commands/step_dump.h"
#include "launch/errors.h"
#include "launch/train/run_spec.h"
#include "launch/train/workers.h"

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

/// All that a step needs, on one rank.
struct StepBench {
  Task task;
  TrainingGraph training;
  UpdateGraph update;
  ModelState state;
  std::vector<std::unique_ptr<Communicator>> world = make_thread_world(1);
  std::unique_ptr<Workers> workers;
  std::unique_ptr<GradientReducer> reducer;
  std::unique_ptr<Program> update_program;
  std::unique_ptr<Loader> loader;
  Tensor scalars{{kStepScalars}, DType::f64};
  std::int64_t step = 0;
  int threads_per_micro_batch = 1;

  StepBench(const Config& config, const Backend& backend);
  void run();
  void bind_sums();
  /// Runs one step of plain gradient descent at rate 1 from the initial state.
  StepDump dump();
};

StepBench::StepBench(const Config& config, const Backend& backend) : task(bench_task(config)) {
  const std::int64_t batch = config.get<std::int64_t>("batch");
  const int virtual_workers = config.get<int>("virtual-workers");
  if (batch % virtual_workers)
    throw UsageError(fmt::format("--batch={} cannot be cut into --virtual-workers={} equal parts", batch, virtual_workers));
  task.micro_batch = batch / virtual_workers;
  const int all = config.get<int>("device.threads") ? config.get<int>("device.threads") : usable_cores();
  const int asked = config.get<int>("threads-per-micro-batch");
  threads_per_micro_batch = asked ? asked : std::max(all / virtual_workers, 1);
  const int threads = threads_for(std::max(all / threads_per_micro_batch, 1), all, 1, virtual_workers);
  training = build_training_graph(task, std::size_t{4} << 20);
  const bool plain = !config.get<std::filesystem::path>("dump").empty();
  const SgdOptions sgd = plain ? SgdOptions{.momentum = 0} : SgdOptions{.momentum = 0.9, .decay = 1e-4};
  update = build_update_graph(training.graph, training.gradients, sgd, virtual_workers);
  state = initial_state(training.graph, update, 1, *world[0]);
  workers = std::make_unique<Workers>(training, backend, state,
                                      WorkersOptions{threads, threads_per_micro_batch, 0, virtual_workers});
  reducer = make_reducer(*world[0], {.virtual_workers = virtual_workers,
                                     .bucket_elements = Workers::bucket_elements(training),
                                     .threads = threads});
  update_program = std::make_unique<Program>(update.graph, backend, ProgramOptions{});
  update_program->bind_memory(update.scalars, scalars.bytes());
  for (const auto& parameter : update.parameters) {
    update_program->bind_memory(parameter.weight, state.parameters.at(parameter.name).bytes());
    update_program->bind_memory(parameter.velocity, state.velocities.at("momentum/" + parameter.name).bytes());
  }
  for (const auto& statistic : update.statistics)
    update_program->bind_memory(statistic.running, state.state.at(statistic.name).bytes());
  scalars.values<double>()[kLearningRate] = plain ? 1 : 1e-3;
  scalars.values<double>()[kDivisor] = static_cast<double>(batch);
  scalars.values<double>()[kApply] = 1;
  loader = std::make_unique<SyntheticLoader>(task, virtual_workers);
}

void StepBench::bind_sums() {
  const auto sum = [&](Value leaf) {
    const LeafSlot& slot = training.buckets.slot_of(leaf);
    return const_cast<float*>(reducer->result(slot.bucket).data()) + slot.offset;  // only read by the update
  };
  for (const auto& parameter : update.parameters)
    update_program->bind_memory(parameter.gradient, sum(parameter.source_gradient));
  for (const auto& statistic : update.statistics)
    update_program->bind_memory(statistic.sum, sum(statistic.source_sample));
}

void StepBench::run() {
  reducer->begin(step);
  workers->run_step(step, *loader, *reducer, {0, 0});
  reducer->finish();
  bind_sums();
  update_program->run();
  ++step;
}

/// Micro-batches one behind the other.
Tensor joined(const std::vector<Tensor>& parts) {
  std::vector<std::int64_t> extents(parts.front().shape().extents().begin(), parts.front().shape().extents().end());
  extents[0] *= static_cast<std::int64_t>(parts.size());
  Tensor whole(Shape(extents), parts.front().dtype());
  std::byte* to = whole.bytes();
  for (const Tensor& part : parts) to = std::copy_n(part.bytes(), part.size_bytes(), to);
  return whole;
}

StepDump StepBench::dump() {
  StepDump dump;
  std::vector<Tensor> images, labels;
  for (int index = 0; index < static_cast<int>(scalars.values<double>()[kDivisor]) / static_cast<int>(task.micro_batch); ++index) {
    const std::shared_ptr<MicroBatch> batch = loader->next(0, index);
    images.push_back(batch->images);
    labels.push_back(batch->labels);
  }
  dump.images = joined(images);
  dump.labels = joined(labels);
  dump.mean = task.prepare.mean.front();
  dump.deviation = task.prepare.deviation.front();
  for (const auto& parameter : update.parameters) {
    dump.parameters.push_back(parameter.name);
    dump.before[parameter.name] = state.parameters.at(parameter.name).clone();
  }
  run();
  for (const auto& parameter : update.parameters) dump.after[parameter.name] = state.parameters.at(parameter.name).clone();
  const LeafSlot& loss = training.buckets.slot_of(training.loss);
  dump.loss = reducer->result(loss.bucket)[static_cast<std::size_t>(loss.offset)] / scalars.values<double>()[kDivisor];
  return dump;
}

double peak_mebibytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;  // kilobytes on Linux
}

void print_profile(const StepBench& bench) {
  std::map<std::string, std::pair<double, int>> by_op;
  for (int thread = 0; thread < bench.workers->threads(); ++thread) {
    const Program& program = bench.workers->program(thread);
    for (std::size_t op = 0; op < program.op_seconds.size(); ++op) {
      auto& entry = by_op[fmt::format("{:<30} {:<30} {}", op_def(program.graph().ops()[op].kind).name,
                                      program.graph().ops()[op].layer, program.implementation(static_cast<int>(op)))];
      entry.first += program.op_seconds[op];
      ++entry.second;
    }
  }
  std::vector<std::pair<double, std::string>> rows;
  for (const auto& [name, entry] : by_op) rows.emplace_back(entry.first, name);
  std::sort(rows.rbegin(), rows.rend());
  for (const auto& [seconds, name] : rows)
    fmt::print("  {:>9.3f} ms  {}\n", 1e3 * seconds / static_cast<double>(bench.step), name);
}

int run(const Config& config) {
  const auto backend = make_backend(config);
  StepBench bench(config, *backend);
  if (const auto path = config.get<std::filesystem::path>("dump"); !path.empty()) {
    const StepDump dump = bench.dump();
    write_step_dump(path, dump);
    fmt::print("{}\n", nlohmann::ordered_json{{"dump", path.string()}, {"loss", dump.loss}}.dump());
    return kDone;
  }
  const bool profile = config.get<bool>("profile");
  if (profile) bench.workers->set_profile(true);
  const int steps = config.get<int>("steps");
  bench.run();  // warm-up: pages, caches, lazily made kernels
  bench.run();
  std::vector<double> seconds;
  for (int repetition = 0; repetition < config.get<int>("repetitions"); ++repetition) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < steps; ++i) bench.run();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / steps);
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const std::int64_t batch = config.get<std::int64_t>("batch");
  const double peak = peak_mebibytes();  // before the arrays that the limits are measured with
  std::optional<Ceiling> ceiling;
  if (config.get<bool>("limits"))
    ceiling = measure_ceiling(bench.training.graph, bench.training.leaves, bench.update.graph,
                              config.get<int>("virtual-workers"), *backend,
                              bench.workers->threads() * bench.threads_per_micro_batch);
  if (config.get<std::string>("format") == "json") {
    nlohmann::ordered_json json = {{"model", bench.task.model},
                                   {"batch", batch},
                                   {"virtual_workers", config.get<int>("virtual-workers")},
                                   {"threads", bench.workers->threads()},
                                   {"threads_per_micro_batch", bench.threads_per_micro_batch},
                                   {"median_seconds", median},
                                   {"least_seconds", seconds.front()},
                                   {"most_seconds", seconds.back()},
                                   {"samples_per_second", static_cast<double>(batch) / median},
                                   {"peak_memory_mib", peak}};
    if (ceiling) add_ceiling(json, *ceiling, median);
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("{}: batch {} in {} micro-batches, {} threads, {} per micro-batch\n", bench.task.model, batch,
               config.get<int>("virtual-workers"), bench.workers->threads(),
               bench.threads_per_micro_batch);
    fmt::print("forward + backward + update: {:.3f} ms a step (least {:.3f}, most {:.3f}), {:.0f} samples/s, peak memory "
               "{:.0f} MiB\n",
               1e3 * median, 1e3 * seconds.front(), 1e3 * seconds.back(), static_cast<double>(batch) / median, peak);
    if (ceiling) fmt::print("{}\n", describe(*ceiling, median));
  }
  if (profile) print_profile(bench);
  return kDone;
}

}  // namespace

Action bench_step_action() {
  return {.path = "bench step",
          .summary = "a training step on data in memory",
          .usage = "bench step --model=NAME [--batch=128] [--virtual-workers=1] [--profile] [--limits] [--dump=FILE]",
          .description =
              "Measures whole training steps (prepare, forward, backward, reduction on one rank, update) on random images "
              "in memory: the median over --repetitions of the mean over --steps. With one micro-batch all threads share it; with "
              "more, each thread has micro-batches of its own. --limits also measures what the machine gives (a large matrix product "
              "and a stream of large arrays, by as many threads) and prints the share: the time of a step each of whose kernels "
              "runs at the better of the two, over the median. --dump=FILE times nothing: it runs one step of plain gradient descent at rate 1 and writes images, "
              "labels, loss and the parameters before and after, for another implementation to compute the same. experiments/benchmarks/step_vs_pytorch.py runs it beside "
              "PyTorch.",
          .examples = "convoy bench step --model=resnet-20 --batch=128\n"
                      "convoy bench step --model=lenet-5 --input=28x28x1 --virtual-workers=8 --profile",
          .check = check_bench_model,
          .run = run};
}

}  // namespace convoy
