#include "launch/train/run_spec.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "core/backend/cpu/isa.h"
#include "core/tensor/error.h"
#include "io/library_version.h"
#include "launch/data_options.h"
#include "launch/layer_options.h"
#include "launch/check.h"
#include "launch/options.h"
#include "launch/printable.h"
#include "launch/train/plans.h"
#include "launch/train/trained_model.h"

namespace convoy {
namespace {

std::function<std::unique_ptr<Backend>(const Config&)> backend_maker;

Task task_of(const Config& config, const DatasetInfo& info, const AugmentOptions& augment) {
  if (info.task != "classification")
    throw UsageError(fmt::format("data.path holds data for {}, but this build trains classification", info.task));
  Task task;
  task.model = config.get<std::string>("model.name");
  if (task.model.empty()) throw UsageError("model.name is missing; `convoy model list` names the models");
  find_model(task.model);
  task.options = model_options_of(config);
  const auto classes = static_cast<std::int64_t>(info.class_names.size());
  task.classes = config.get<std::int64_t>("model.classes");
  if (task.classes == 0) task.classes = classes;
  if (task.classes < classes)
    throw UsageError(fmt::format("model.classes is {}, but the data have {} classes", task.classes, classes));
  task.compute = compute_type(config);
  task.recompute = recompute_of(config);
  task.image = info.sample;
  task.stored = info.dtype;
  if (config.get<bool>("data.normalize")) {
    task.prepare.mean = info.channel_mean;
    task.prepare.deviation = info.channel_std;
    for (double& deviation : task.prepare.deviation)
      if (!(deviation > 0)) deviation = 1;  // a constant channel stays constant
  }
  for (int axis = 0; axis < info.sample.rank() - 1; ++axis)
    task.prepare.size[static_cast<std::size_t>(axis)] =
        augment.crop[axis] ? augment.crop[axis] : info.sample[axis];
  return task;
}

Schedule schedule_of(const Config& config) {
  Schedule schedule;
  schedule.kind = schedule_kind_from_name(config.get<std::string>("optim.schedule"));
  schedule.rate = config.get<double>("optim.rate");
  schedule.gamma = config.get<double>("optim.gamma");
  schedule.every_epochs = config.get<std::int64_t>("optim.step-epochs");
  schedule.milestones = config.get<std::vector<std::int64_t>>("optim.milestones");
  schedule.power = config.get<double>("optim.power");
  schedule.warmup_epochs = config.get<double>("optim.warmup-epochs");
  schedule.warmup_start = config.get<double>("optim.warmup-start");
  schedule.constant_warmup = config.get<std::string>("optim.warmup") == "constant";
  validate(schedule);
  return schedule;
}

/// Without the rates of single layers, which need the model's graph (layer_options.h).
OptimizerOptions optimizer_of(const Config& config, const RunSpec& spec) {
  const auto name = config.get<std::string>("optim.name"), average = config.get<std::string>("optim.average");
  const double counted_from =
      config.get<double>("optim.average-from") * static_cast<double>(spec.samples) / static_cast<double>(spec.batch);
  return {.rule = name == "rmsprop"                     ? Optimizer::rmsprop
                  : name == "adam" || name == "adamw" ? Optimizer::adam
                  : name == "adagrad"                   ? Optimizer::adagrad
                  : name == "lars"                      ? Optimizer::lars
                                                        : Optimizer::sgd,
          .momentum = config.get<double>("optim.momentum"),
          .nesterov = config.get<bool>("optim.nesterov"),
          .decay = config.get<double>("optim.decay"),
          .decay_biases = config.get<bool>("optim.decay-biases"),
          .decoupled = name == "adamw",
          .beta1 = config.get<double>("optim.beta1"),
          .beta2 = config.get<double>("optim.beta2"),
          .rho = config.get<double>("optim.rho"),
          .epsilon = config.get<double>("optim.epsilon"),
          .trust = config.get<double>("optim.trust"),
          .clip_norm = config.get<double>("optim.clip-norm"),
          .clip_value = config.get<double>("optim.clip-value"),
          .average = average == "polyak" ? AverageKind::polyak : average == "ema" ? AverageKind::ema : AverageKind::none,
          .average_decay = config.get<double>("optim.average-decay"),
          .average_from = static_cast<std::int64_t>(std::ceil(counted_from))};
}

/// What of an optimizer's options decides bits, as the run record has it. Runs of sgd have the words of earlier versions.
std::string describe(const OptimizerOptions& o, const Config& config) {
  const std::string decay = fmt::format("decay={} decay-biases={}", o.decay, o.decay_biases);
  std::string text;
  switch (o.rule) {
    case Optimizer::sgd: text = fmt::format("sgd momentum={} nesterov={} {}", o.momentum, o.nesterov, decay); break;
    case Optimizer::rmsprop:
      text = fmt::format("rmsprop rho={} momentum={} epsilon={} {}", o.rho, o.momentum, o.epsilon, decay);
      break;
    case Optimizer::adam:
      text = fmt::format("{} beta1={} beta2={} epsilon={} {}", o.decoupled ? "adamw" : "adam", o.beta1, o.beta2, o.epsilon, decay);
      break;
    case Optimizer::adagrad: text = fmt::format("adagrad epsilon={} {}", o.epsilon, decay); break;
    case Optimizer::lars: text = fmt::format("lars trust={} momentum={} {}", o.trust, o.momentum, decay); break;
  }
  if (o.clip_norm > 0) text += fmt::format(" clip-norm={}", o.clip_norm);
  if (o.clip_value > 0) text += fmt::format(" clip-value={}", o.clip_value);
  if (const auto factors = config.get<std::string>("optim.rate-factor"); !factors.empty()) text += " rate-factor=" + factors;
  if (o.average == AverageKind::polyak) text += fmt::format(" average=polyak from={}", o.average_from);
  if (o.average == AverageKind::ema) text += fmt::format(" average=ema decay={}", o.average_decay);
  return text;
}

/// Throws UsageError for a run that ends where the replicas are not one model.
LocalRule local_rule_of(const Config& config, const RunSpec& spec) {
  const double first = config.get<double>("local-from") * static_cast<double>(spec.samples) / static_cast<double>(spec.batch);
  const LocalRule rule{.replicas = config.get<int>("replicas"),
                       .average_every = config.get<std::int64_t>("average-every"),
                       .first_step = static_cast<std::int64_t>(std::ceil(first)),
                       .batch = spec.batch,
                       .samples = spec.samples};
  if (rule.is_one_model_after(spec.last_step)) return rule;
  std::int64_t below = spec.last_step, above = spec.last_step;
  while (below > 0 && !rule.is_one_model_after(below)) --below;
  while (!rule.is_one_model_after(above)) ++above;
  throw UsageError(fmt::format("train.steps = {} ends the run between two averages of its replicas (average-every = {}); the nearest "
                               "legal values are train.steps = {}{}",
                               spec.last_step, rule.average_every, below > 0 ? fmt::format("{} or ", below) : "", above));
}

Seeds seeds_of(const Config& config) {
  return {config.get<std::uint64_t>("seed.init"), config.get<std::uint64_t>("seed.order"),
          config.get<std::uint64_t>("seed.augment"), config.get<std::uint64_t>("seed.dropout")};
}

bool stores_validation(const DatasetOptions& options) {
  if (!std::filesystem::is_directory(options.path)) return false;
  for (const auto& entry : std::filesystem::directory_iterator(options.path))
    if (const std::string name = entry.path().filename().string();
        name.starts_with("validation") && (name.ends_with(".h5") || name.ends_with(".hdf5")))
      return true;
  return false;
}

/// data.stage: auto, none, ram, or a folder on a local disk.
void set_stage(const std::string& text, DatasetOptions& options) {
  if (text == "auto") {
    options.stage = StageMode::automatic;
  } else if (text == "ram") {
    options.stage = StageMode::ram;
  } else if (text != "none") {
    options.stage = StageMode::disk;
    options.stage_folder = text;
  }
}

}  // namespace

DatasetOptions dataset_options(const Config& config, Split split) {
  return dataset_options(config, split, config.get<std::filesystem::path>("data.path"));
}

DatasetOptions dataset_options(const Config& config, Split split, const std::filesystem::path& path) {
  DatasetOptions options;
  options.path = path;
  if (options.path.empty())
    throw UsageError("data.path is missing: the folder of shards that `convoy data import` wrote, or an HDF5 file "
                     "whose datasets data.images and data.labels name");
  options.split = split;
  options.validation = config.get<double>("data.validation");
  options.images = config.get<std::string>("data.images");
  options.labels = config.get<std::string>("data.labels");
  set_view(config, options);
  if (config.command() != "evaluate") set_stage(config.get<std::string>("data.stage"), options);
  return options;
}

std::unique_ptr<Dataset> open_validation(const Config& config) {
  const DatasetOptions options = dataset_options(config, Split::validation);
  return options.validation > 0 || stores_validation(options) ? open_dataset(options) : nullptr;
}

RunSpec make_run_spec(const Config& config, const DatasetInfo& info) {
  RunSpec spec;
  spec.seeds = seeds_of(config);
  spec.augment = augment_options(config, info, spec.seeds.augment);
  spec.task = task_of(config, info, spec.augment);
  spec.task.dropout_seed = spec.seeds.dropout;
  spec.task.mixes = spec.augment.mixup > 0;
  spec.order = config.get<std::string>("data.order");
  spec.batch = config.get<std::int64_t>("train.batch");
  spec.virtual_workers = config.get<int>("virtual-workers");
  spec.task.micro_batch = spec.batch / spec.virtual_workers;
  spec.task.frozen = layer_patterns(config, "freeze");
  spec.task.label_smoothing = config.get<double>("train.label-smoothing");
  spec.task.initializers = read_initializers(config);
  if (config.get<std::string>("model.batch-norm") == "global") spec.task.normalised_micro_batches = spec.virtual_workers;
  spec.samples = info.samples;
  if (spec.task.mixes && spec.task.micro_batch < 2)
    throw UsageError(fmt::format("data.mixup mixes pairs of one micro-batch, but train.batch={} in {} micro-batches leaves one "
                                 "sample in each; choose a larger batch or fewer virtual-workers",
                                 spec.batch, spec.virtual_workers));
  if (spec.samples != kSamplesUnknown && spec.batch > spec.samples) {
    const std::int64_t largest = spec.samples / spec.virtual_workers * spec.virtual_workers;
    throw UsageError(fmt::format("train.batch={} is more than the {} samples of the training split{}", spec.batch, spec.samples,
                                 largest > 0 ? fmt::format("; the largest that virtual-workers={} divides is {}",
                                                           spec.virtual_workers, largest)
                                             : fmt::format("; set virtual-workers={} and train.batch to the same", spec.samples)));
  }
  const auto epochs = config.get<std::int64_t>("train.epochs");
  spec.epoch_steps = (epochs * spec.samples + spec.batch - 1) / spec.batch;
  const auto steps = config.get<std::int64_t>("train.steps");
  spec.last_step = steps ? steps : spec.epoch_steps;
  spec.schedule = schedule_of(config);
  spec.optimizer = optimizer_of(config, spec);
  spec.bucket_bytes = static_cast<std::size_t>(config.get<std::int64_t>("distributed.bucket-bytes"));
  if (config.get<std::string>("reduction-dtype") == "bf16") spec.gradient_sums = SumRounding::bf16;
  spec.threads_per_micro_batch = config.get<int>("device.threads-per-micro-batch");
  if (config.get<std::string>("mode") == "model") spec.mode = Mode::model;
  if (config.get<std::string>("mode") == "local" && spec.samples != kSamplesUnknown) {
    spec.mode = Mode::local;
    spec.local = local_rule_of(config, spec);
  }
  return spec;
}

DType compute_type(const Config& config) {
  const auto precision = config.get<std::string>("precision");
  return precision == "bf16" ? DType::bf16 : precision == "fp16" ? DType::f16 : DType::f32;
}

Recompute recompute_of(const Config& config) {
  const auto name = config.get<std::string>("recompute");
  return name == "cheap" ? Recompute::cheap : name == "blocks" ? Recompute::blocks : Recompute::off;
}

void set_backend_maker(std::function<std::unique_ptr<Backend>(const Config&)> maker) { backend_maker = std::move(maker); }

std::unique_ptr<Backend> make_backend(const Config& config, const Seats& seats, const Computation& computation) {
  if (backend_maker) return backend_maker(config);
  set_cpu_isa(config.get<std::string>("device.isa"));
  const std::optional<CudaOptions> cuda = choose_device(config, seats, computation);
  return cuda ? make_cuda_backend(*cuda) : make_cpu_backend();
}

TransportOptions transport_options(const Config& config, bool one_host, bool speaks) {
  const auto transport = config.get<std::string>("distributed.transport");
  TransportOptions options{.transport = transport == "nccl"   ? DeviceTransport::nccl
                                        : transport == "host" ? DeviceTransport::host
                                                              : DeviceTransport::automatic,
                           .shares_device = find_option(config.command(), "share-gpu") && config.get<bool>("share-gpu"),
                           .one_host = one_host};
  if (speaks)
    options.tell = [](const std::string& news) {
      fmt::print(stderr, "[device] {}\n", printable(news));
      std::fflush(stderr);
    };
  return options;
}

RunRecord make_run_record(const Config& config, const RunSpec& spec, const DatasetInfo& data, const Backend& backend,
                          const std::string& graph_hash) {
  RunRecord record;
  record["batch"] = std::to_string(spec.batch);
  record["virtual-workers"] = std::to_string(spec.virtual_workers);
  record["precision"] = config.get<std::string>("precision");
  record["reduction"] = config.get<std::string>("reduction");
  record["reduction-dtype"] = config.get<std::string>("reduction-dtype");
  record_data(data, record);
  record["data.order"] = spec.order;
  record["device.threads-per-micro-batch"] = std::to_string(spec.threads_per_micro_batch);
  record["graph"] = graph_hash;
  record["model"] = spec.task.model;
  for (const auto& [name, value] : spec.task.options) record["model." + name] = value;
  record["data.normalize"] = config.get<bool>("data.normalize") ? "yes" : "no";
  for (const auto& [name, value] : backend.identity()) record["backend." + name] = value;
  record_plans(backend, record);
  const Schedule& schedule = spec.schedule;
  record["schedule"] = fmt::format("{} rate={} gamma={} every={} milestones={} power={} warmup={} from {}",
                                   name_of(schedule.kind), schedule.rate, schedule.gamma, schedule.every_epochs,
                                   fmt::join(schedule.milestones, ","), schedule.power, schedule.warmup_epochs,
                                   schedule.warmup_start);
  if (depends_on_length(schedule)) record["schedule.steps"] = std::to_string(spec.epoch_steps);
  if (schedule.constant_warmup) record["schedule"] += " constant";
  record["optimizer"] = describe(spec.optimizer, config);
  if (spec.task.label_smoothing > 0) record["label-smoothing"] = fmt::format("{}", spec.task.label_smoothing);
  if (const auto init = config.get<std::string>("train.init"); !init.empty()) record["init"] = init;
  if (const auto frozen = config.get<std::string>("freeze"); !frozen.empty()) record["freeze"] = frozen;
  if (spec.mode == Mode::local)
    record["local"] = fmt::format("replicas={} average-every={} first-step={}", spec.local.replicas, spec.local.average_every,
                                  spec.local.first_step);
  record["augment"] = describe(spec.augment);
  if (data.has_views && !data.encoding.empty()) record["data.decoder"] = decoder_version(data.encoding);
  if (const auto shorter = config.get<std::int64_t>("data.resize-short"); shorter > 0)
    record["data.resize-short"] = std::to_string(shorter);
  record["seeds"] = fmt::format("init={} order={} augment={} dropout={}", spec.seeds.init, spec.seeds.order,
                                spec.seeds.augment, spec.seeds.dropout);
  return record;
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(CPU_COUNT(&set), 1) : 1;
}

int threads_for(int wanted, int cores, int ranks_on_node, int micro_batches) {
  const int share = wanted > 0 ? wanted : std::max(cores / std::max(ranks_on_node, 1), 1);
  return std::clamp(share, 1, std::max(micro_batches, 1));
}

}  // namespace convoy
