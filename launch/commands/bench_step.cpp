// convoy bench step: a whole training step (forward, backward, reduction, update) on data in memory.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/random/philox.h"
#include "core/tensor/error.h"
#include "distributed/threads/thread_world.h"
#include "launch/commands/bench.h"
#include "launch/errors.h"
#include "launch/check.h"
#include "launch/train/run_spec.h"
#include "launch/train/step_engine.h"

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
  std::unique_ptr<StateMemory> memory;
  std::unique_ptr<StepEngine> engine;
  std::unique_ptr<Loader> loader;
  std::int64_t step = 0;
  int threads = 1, threads_per_micro_batch = 1;

  StepBench(const Config& config, const Backend& backend);
  void begin();
  void finish();
};

Task task_of(const Config& config) {
  Task task;
  task.model = config.get<std::string>("model");
  const ModelEntry& entry = find_model(task.model);
  task.options = model_options_of(config);
  task.classes = config.get<std::int64_t>("model.classes");
  if (task.classes == 0) task.classes = entry.classes;
  const auto extents = config.get<std::vector<std::int64_t>>("input");
  task.image = extents.empty() ? entry.input : Shape(extents);
  task.stored = DType::u8;
  task.compute = compute_type(config);
  const auto channels = static_cast<std::size_t>(task.image[-1]);
  task.prepare.mean.assign(channels, 127.5);
  task.prepare.deviation.assign(channels, 64.0);
  return task;
}

StepBench::StepBench(const Config& config, const Backend& backend) : task(task_of(config)) {
  const std::int64_t batch = config.get<std::int64_t>("batch");
  const int virtual_workers = config.get<int>("virtual-workers");
  if (batch % virtual_workers)
    throw UsageError(fmt::format("--batch={} cannot be cut into --virtual-workers={} equal parts", batch, virtual_workers));
  task.micro_batch = batch / virtual_workers;
  const bool on_host = backend.device().is_host();
  const int all = !on_host ? 1 : config.get<int>("device.threads") ? config.get<int>("device.threads") : usable_cores();
  const int asked = on_host ? config.get<int>("threads-per-micro-batch") : 1;
  threads_per_micro_batch = asked ? asked : std::max(all / virtual_workers, 1);
  threads = threads_for(std::max(all / threads_per_micro_batch, 1), all, 1, virtual_workers);
  training = build_training_graph(task, std::size_t{4} << 20);
  update = build_update_graph(training.graph, training.gradients, {.momentum = 0.9, .decay = 1e-4}, virtual_workers,
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

void StepBench::begin() {
  if (engine->under_way() == engine->depth()) engine->take();
  engine->begin({.step = step, .rate = 1e-3, .loader = loader.get()});
  ++step;
}

/// A device has done all that was begun.
void StepBench::finish() {
  while (engine->under_way() > 0) engine->take();
}

double peak_mebibytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;  // kilobytes on Linux
}

void print_profile(const StepBench& bench) {
  std::map<std::string, std::pair<double, int>> by_op;
  for (const Program* each : bench.engine->programs()) {
    const Program& program = *each;
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
  const bool profile = config.get<bool>("profile");
  if (profile) bench.engine->set_profile(true);
  const int steps = config.get<int>("steps");
  for (int warm_up = 0; warm_up < 2; ++warm_up) bench.begin();  // pages, caches, lazily made kernels
  bench.finish();
  std::vector<double> seconds;
  for (int repetition = 0; repetition < config.get<int>("repetitions"); ++repetition) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < steps; ++i) bench.begin();
    bench.finish();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / steps);
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const std::int64_t batch = config.get<std::int64_t>("batch");
  if (config.get<std::string>("format") == "json") {
    fmt::print("{}\n", nlohmann::ordered_json{{"model", bench.task.model},
                                              {"device", backend->device().name()},
                                              {"precision", config.get<std::string>("precision")},
                                              {"batch", batch},
                                              {"virtual_workers", config.get<int>("virtual-workers")},
                                              {"threads", bench.threads},
                                              {"threads_per_micro_batch", bench.threads_per_micro_batch},
                                              {"median_seconds", median},
                                              {"least_seconds", seconds.front()},
                                              {"most_seconds", seconds.back()},
                                              {"samples_per_second", static_cast<double>(batch) / median},
                                              {"peak_memory_mib", peak_mebibytes()}}
                           .dump(2));
  } else {
    fmt::print("{}, {}: batch {} in {} micro-batches, {}\n", bench.task.model, config.get<std::string>("precision"), batch,
               config.get<int>("virtual-workers"),
               backend->device().is_host() ? fmt::format("{} threads, {} per micro-batch", bench.threads,
                                                         bench.threads_per_micro_batch)
                                           : "on " + backend->device().name());
    fmt::print("forward + backward + update: {:.3f} ms a step (least {:.3f}, most {:.3f}), {:.0f} samples/s, peak memory "
               "{:.0f} MiB\n",
               1e3 * median, 1e3 * seconds.front(), 1e3 * seconds.back(), static_cast<double>(batch) / median,
               peak_mebibytes());
  }
  if (profile) print_profile(bench);
  return kDone;
}

void check(const Config& config) {
  if (config.get<std::string>("model").empty())
    throw UsageError("--model is missing: convoy bench step --model=resnet-20; convoy model list names the models");
  complete_options(find_model(config.get<std::string>("model")), model_options_of(config));
}

}  // namespace

Action bench_step_action() {
  return {.path = "bench step",
          .summary = "a training step on data in memory",
          .usage = "bench step --model=NAME [--precision=bf16] [--batch=128] [--virtual-workers=1] [--profile]",
          .description =
              "Measures whole training steps (prepare, forward, backward, reduction on one rank, update) on random images "
              "in memory: the median over --repetitions of the mean over --steps. With one micro-batch all threads share it; with "
              "more, each thread has micro-batches of its own. experiments/benchmarks/step_vs_pytorch.py runs it beside "
              "PyTorch.",
          .examples = "convoy bench step --model=resnet-20 --batch=128\n"
                      "convoy bench step --model=lenet-5 --input=28x28x1 --virtual-workers=8 --profile",
          .check = check,
          .run = run};
}

}  // namespace convoy
