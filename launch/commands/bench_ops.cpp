// convoy bench ops: every op of a network's training step on its own, beside the machine's limits.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/models/training.h"
#include "core/optim/update_program.h"
#include "core/tensor/error.h"
#include "launch/check.h"
#include "launch/commands/bench.h"
#include "launch/commands/bench_ceiling.h"
#include "launch/commands/bench_task.h"
#include "launch/errors.h"
#include "launch/train/run_spec.h"
#include "launch/train/step_engine.h"

namespace convoy {
namespace {

struct Row {
  OpGroup group;
  Timing timing;
  double least = 0;   // seconds at the machine's limits
  double all() const { return group.count * timing.median; }
};

std::string operands_of(const OpDesc& op) {
  std::string text;
  for (const TensorDesc& input : op.inputs) text += fmt::format("{}{}", text.empty() ? "" : " ", input.shape.str());
  return text;
}

std::string name_of_group(const OpGroup& group) {
  const std::string name(op_def(group.ops.front().kind).name);
  return group.ops.size() > 1 ? fmt::format("{} of {} parameters", name, group.ops.size()) : name;
}

void print_text(const std::vector<Row>& rows, const Limits& limits) {
  fmt::print("{}\n", describe(limits));
  fmt::print("{:>9} {:>5} {:>9} {:>8} {:>9}  {:<28} {:<24} {}\n", "ms", "times", "GFLOP/s", "GB/s", "of limit", "op",
             "first layer", "operands; implementation");
  double found = 0, least = 0;
  for (const Row& row : rows) {
    found += row.all();
    least += row.group.count * row.least;
    fmt::print("{:>9.4f} {:>5} {:>9.1f} {:>8.1f} {:>8.0f}%  {:<28} {:<24} {}; {}\n", 1e3 * row.timing.median, row.group.count,
               2e-9 * row.group.cost.multiply_adds / row.timing.median, 1e-9 * row.group.cost.bytes / row.timing.median,
               100 * row.least / row.timing.median, name_of_group(row.group), row.group.layer,
               operands_of(row.group.ops.front()), row.timing.implementation);
  }
  fmt::print("{:>9.4f} ms in all, {:.0f}% of the limits\n", 1e3 * found, 100 * least / found);
}

void print_json(const std::vector<Row>& rows, const Limits& limits) {
  nlohmann::ordered_json json = {{"limits", to_json(limits)}, {"ops", nlohmann::ordered_json::array()}};
  for (const Row& row : rows)
    json["ops"].push_back({{"op", name_of_group(row.group)},
                           {"layer", row.group.layer},
                           {"operands", operands_of(row.group.ops.front())},
                           {"type", name_of(row.group.type())},
                           {"implementation", row.timing.implementation},
                           {"times", row.group.count},
                           {"median_seconds", row.timing.median},
                           {"least_seconds", row.timing.least},
                           {"most_seconds", row.timing.most},
                           {"flop", 2 * row.group.cost.multiply_adds},
                           {"bytes", row.group.cost.bytes},
                           {"of_limit", row.least / row.timing.median}});
  fmt::print("{}\n", json.dump(2));
}

int run(const Config& config) {
  const auto backend = make_backend(config, {}, computation_of(config));
  Task task = bench_task(config);
  task.micro_batch = config.get<std::int64_t>("batch");
  const TrainingGraph training = build_training_graph(task, std::size_t{4} << 20);
  const UpdateGraph update = build_update_graph(training.graph, training.gradients, {.momentum = 0.9, .decay = 1e-4}, 1,
                                                guard_options(training, scales_loss(training)));
  std::vector<OpGroup> groups = group_ops(training.graph, *backend, {.outside = training.leaves});
  for (OpGroup& group : group_ops(update.graph, *backend, {})) groups.push_back(std::move(group));

  const int threads = config.get<int>("device.threads");
  const TimingOptions timing{threads ? threads : usable_cores(), config.get<int>("repetitions")};
  const std::set<DType> types = product_types(groups);
  const Limits limits = measure_limits(*backend, std::vector<DType>(types.begin(), types.end()), timing);
  std::vector<Row> rows;
  for (OpGroup& group : groups) {
    Row row{std::move(group), {}, 0};
    row.timing = time_ops(*backend, row.group.ops, timing);
    row.least = least_seconds(row.group.cost, row.group.type(), limits);
    rows.push_back(std::move(row));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.all() > b.all(); });
  (config.get<std::string>("format") == "json" ? print_json : print_text)(rows, limits);
  return kDone;
}

}  // namespace

Action bench_ops_action() {
  return {.path = "bench ops",
          .summary = "every op of a network's training step, beside the machine's limits",
          .usage = "bench ops --model=NAME [--precision=bf16] [--batch=128] [--repetitions=7]",
          .description =
              "Times every op of a training step of one batch on its own (forward, backward, update), on operands made for "
              "it, and sets it beside what the machine gives in the same run: a large matrix product per type, and the "
              "better of a copy and a sum of large arrays. \"of limit\" is the least time by arithmetic or traffic, whichever "
              "is longer, over the median. More than 100% is possible: operands that stay in a cache, and convolutions with "
              "fewer multiply-adds than their definition. Threads share each op (--device.threads).",
          .examples = "convoy bench ops --model=resnet-20 --batch=128\n"
                      "convoy bench ops --model=lenet-5 --input=28x28x1 --format=json",
          .check = check_bench_model,
          .run = run};
}

}  // namespace convoy
