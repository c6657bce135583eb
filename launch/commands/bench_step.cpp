// convoy bench step: a whole training step (forward, backward, reduction, update) on data in memory.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/tensor/error.h"
#include "launch/commands/bench.h"
#include "launch/commands/bench_ceiling.h"
#include "launch/commands/bench_task.h"
#include "launch/commands/step_bench.h"
#include "launch/errors.h"
#include "launch/train/run_spec.h"

namespace convoy {
namespace {

struct Measured {
  std::vector<double> seconds;   // of a step, per repetition, sorted
  double peak_mebibytes = 0;
  std::optional<Ceiling> ceiling;
  double median() const { return seconds[seconds.size() / 2]; }
};

/// Of the memory that is computed in: the device's, or the process's.
double peak_mebibytes(const Device& device) {
  if (!device.is_host()) return static_cast<double>(device.peak_memory_bytes()) / (1 << 20);
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

Measured measure(StepBench& bench, const Config& config, const Backend& backend) {
  Measured measured;
  const int steps = config.get<int>("steps");
  for (int warm_up = 0; warm_up < 2; ++warm_up) bench.begin();  // pages, caches, lazily made kernels
  bench.finish();
  for (int repetition = 0; repetition < config.get<int>("repetitions"); ++repetition) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < steps; ++i) bench.begin();
    bench.finish();
    measured.seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / steps);
  }
  std::sort(measured.seconds.begin(), measured.seconds.end());
  measured.peak_mebibytes = peak_mebibytes(backend.device());  // before the arrays that the limits are measured with
  if (config.get<bool>("limits"))
    measured.ceiling = measure_ceiling(bench.training.graph, bench.training.leaves, bench.update.graph, bench.virtual_workers,
                                       backend, bench.threads * bench.threads_per_micro_batch);
  return measured;
}

void print_json(const StepBench& bench, const Measured& measured, const std::string& precision, const Backend& backend) {
  nlohmann::ordered_json json = {{"model", bench.task.model},
                                 {"device", backend.device().name()},
                                 {"precision", precision},
                                 {"batch", bench.batch},
                                 {"virtual_workers", bench.virtual_workers},
                                 {"threads", bench.threads},
                                 {"threads_per_micro_batch", bench.threads_per_micro_batch},
                                 {"median_seconds", measured.median()},
                                 {"least_seconds", measured.seconds.front()},
                                 {"most_seconds", measured.seconds.back()},
                                 {"samples_per_second", static_cast<double>(bench.batch) / measured.median()},
                                 {"peak_memory_mib", measured.peak_mebibytes}};
  if (measured.ceiling) add_ceiling(json, *measured.ceiling, measured.median());
  fmt::print("{}\n", json.dump(2));
}

void print_text(const StepBench& bench, const Measured& measured, const std::string& precision, const Backend& backend) {
  fmt::print("{}, {}: batch {} in {} micro-batches, {}\n", bench.task.model, precision, bench.batch, bench.virtual_workers,
             backend.device().is_host()
                 ? fmt::format("{} threads, {} per micro-batch", bench.threads, bench.threads_per_micro_batch)
                 : "on " + backend.device().name());
  fmt::print("forward + backward + update: {:.3f} ms a step (least {:.3f}, most {:.3f}), {:.0f} samples/s, peak {}memory "
             "{:.0f} MiB\n",
             1e3 * measured.median(), 1e3 * measured.seconds.front(), 1e3 * measured.seconds.back(),
             static_cast<double>(bench.batch) / measured.median(), backend.device().is_host() ? "" : "device ",
             measured.peak_mebibytes);
  if (measured.ceiling) fmt::print("{}\n", describe(*measured.ceiling, measured.median()));
}

int run(const Config& config) {
  const auto backend = make_backend(config, {}, computation_of(config));
  if (const auto path = config.get<std::filesystem::path>("dump"); !path.empty()) {
    StepBench bench(config, *backend, {.momentum = 0}, StepBench::Dropout::off);
    const StepDump dump = bench.dump();
    write_step_dump(path, dump);
    fmt::print("{}\n", nlohmann::ordered_json{{"dump", path.string()},
                                              {"device", backend->device().name()},
                                              {"precision", config.get<std::string>("precision")},
                                              {"loss", dump.loss}}
                           .dump());
    return kDone;
  }
  StepBench bench(config, *backend, {.momentum = 0.9, .decay = 1e-4});
  if (config.get<bool>("profile")) bench.engine->set_profile(true);
  const Measured measured = measure(bench, config, *backend);
  (config.get<std::string>("format") == "json" ? print_json : print_text)(bench, measured, config.get<std::string>("precision"),
                                                                          *backend);
  if (config.get<bool>("profile")) print_profile(bench);
  return kDone;
}

}  // namespace

Action bench_step_action() {
  return {.path = "bench step",
          .summary = "a training step on data in memory",
          .usage = "bench step --model=NAME [--precision=bf16] [--batch=128] [--virtual-workers=1] [--profile] [--limits] [--dump=FILE]",
          .description =
              "Measures whole training steps (prepare, forward, backward, reduction on one rank, update) on random images "
              "in memory: the median over --repetitions of the mean over --steps, and the peak of the memory that it computes in (the "
              "GPU's own with --device=cuda). With one micro-batch all threads share it; with "
              "more, each thread has micro-batches of its own. --limits also measures what the machine gives (a large matrix product "
              "and a stream of large arrays, by as many threads) and prints the share: the time of a step each of whose kernels "
              "runs at the better of the two, over the median. --dump=FILE times nothing: it runs one step of plain gradient descent, without dropout, and writes images, "
              "labels, loss, rate and the parameters before and after, for another implementation to compute the same. experiments/benchmarks/step_vs_pytorch.py runs it beside "
              "PyTorch.",
          .examples = "convoy bench step --model=resnet-20 --batch=128\n"
                      "convoy bench step --model=lenet-5 --input=28x28x1 --virtual-workers=8 --profile",
          .check = check_bench_model,
          .run = run};
}

}  // namespace convoy
