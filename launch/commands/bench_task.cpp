#include "launch/commands/bench_task.h"

#include "core/tensor/error.h"
#include "launch/check.h"
#include "launch/train/run_spec.h"

namespace convoy {

Task bench_task(const Config& config) {
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
  task.recompute = recompute_of(config);
  const auto channels = static_cast<std::size_t>(task.image[-1]);
  task.prepare.mean.assign(channels, 127.5);
  task.prepare.deviation.assign(channels, 64.0);
  return task;
}

void check_bench_model(const Config& config) {
  if (config.get<std::string>("model").empty())
    throw UsageError("--model is missing, as in --model=resnet-20; convoy model list names the models");
  complete_options(find_model(config.get<std::string>("model")), model_options_of(config));
}

}  // namespace convoy
