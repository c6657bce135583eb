// convoy evaluate: a trained model on a split, with the confusion matrix and pictures of the mistakes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/tensor/error.h"
#include "distributed/watch/watch.h"
#include "launch/commands/commands.h"
#include "launch/commands/evaluate_progress.h"
#include "launch/commands/evaluate_report.h"
#include "launch/errors.h"
#include "launch/train/agreement.h"
#include "launch/data_options.h"
#include "launch/train/evaluator.h"
#include "launch/train/plans.h"
#include "launch/train/run_spec.h"
#include "launch/train/trained_model.h"

namespace convoy {
namespace {

/// Whether a folder holds shards as `convoy data import` writes them.
bool holds_shards(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return false;
  for (const auto& entry : std::filesystem::directory_iterator(path))
    if (entry.path().filename().string().find("-of-") != std::string::npos) return true;
  return false;
}

/// What the model was trained on, but for what the user names now.
DatasetOptions data_to_read(const Config& config, const TrainedModel& model) {
  const Config& names_data = config.given("data.path") ? config : model.config;  // an imported model's names none
  DatasetOptions options = dataset_options(model.config, split_of(config.get<std::string>("data.split")),
                                           names_data.get<std::filesystem::path>("data.path"));
  options.stage = StageMode::none;  // every sample is read once
  if (config.given("data.path") && holds_shards(options.path)) options.images = options.labels = "";
  if (config.given("data.images")) options.images = config.get<std::string>("data.images");
  if (config.given("data.labels")) options.labels = config.get<std::string>("data.labels");
  if (config.given("data.validation")) options.validation = config.get<double>("data.validation");
  if (const auto resize_short = config.get<std::int64_t>("data.resize-short"); resize_short > 0) {
    if (options.size[0] == 0)
      throw UsageError(fmt::format("data.resize-short is of pictures that are brought to data.size, but {} was trained on images as they "
                                   "are stored; leave it out", model.file.string()));
    options.resize_short = resize_short;
  }
  if (options.split == Split::test && !config.given("data.path") && !options.images.empty() &&
      !std::filesystem::is_directory(options.path))
    throw UsageError(fmt::format("{} was trained on the file {}, which has no test split; name test data with "
                                 "--data.path, or give --data.split=train or validation",
                                 model.file.string(), options.path.string()));
  return options;
}

std::unique_ptr<Dataset> open_split(const Config& config, const DatasetOptions& options) {
  try {
    return open_dataset(options);
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}{}{}", error.what(),
                                config.given("data.path") ? "" : "; this is the data set of the training run, --data.path "
                                                                 "names another",
                                config.given("data.split") ? "" : "; --data.split=validation or train takes another split"));
  }
}

void check_fit(const DatasetInfo& data, const TrainedModel& model) {
  if (data.sample != model.data.sample || data.dtype != model.data.dtype)
    throw DataError(fmt::format("the data hold {} {} images, but {} was trained on {} {}", name_of(data.dtype),
                                data.sample.str(), model.file.string(), name_of(model.data.dtype),
                                model.data.sample.str()));
  if (static_cast<std::int64_t>(data.class_names.size()) > model.task.classes)
    throw DataError(fmt::format("the data have {} classes, but {} knows {}", data.class_names.size(), model.file.string(),
                                model.task.classes));
}

/// Models that are averaged say the same of the same images.
void check_alike(const Config& config, const TrainedModel& first, const TrainedModel& other) {
  if (other.task.classes != first.task.classes)
    throw UsageError(fmt::format("{} has {} classes and {} has {}: they cannot be averaged", first.file.string(),
                                 first.task.classes, other.file.string(), other.task.classes));
  for (const char* option : {"data.size", "data.resize-short"}) {
    if (option == std::string_view("data.resize-short") && config.get<std::int64_t>(option) > 0) continue;  // the same for all
    if (other.config.get<std::string>(option) != first.config.get<std::string>(option))
      throw UsageError(fmt::format("{} has {} = '{}' and {} '{}': they see different parts of the same pictures, and cannot be "
                                   "averaged", first.file.string(), option, first.config.get<std::string>(option),
                                   other.file.string(), other.config.get<std::string>(option)));
  }
  if (other.data.class_names != first.data.class_names)
    throw UsageError(fmt::format("{} and {} were trained on classes of other names or order: they cannot be averaged",
                                 first.file.string(), other.file.string()));
}

/// What the device must be able to: TF32 is switched on for all models that compute in 32 bits, or for none.
Computation computation_of(const Models& models) {
  const TrainedModel *tf32 = nullptr, *fp32 = nullptr;
  for (const auto& model : models) {
    const Computation computation = computation_of(*model);
    if (computation.precision == "tf32") tf32 = model.get();
    if (computation.precision == "fp32") fp32 = model.get();
  }
  if (tf32 && fp32)
    throw UsageError(fmt::format("{} was trained in tf32 and {} in fp32: evaluate them one by one", tf32->file.string(),
                                 fp32->file.string()));
  return computation_of(tf32 ? *tf32 : *models.front());
}

/// The models of --checkpoint, in its order.
Models load_models(const Config& config, bool speaks) {
  Models models;
  const bool averaged = config.get<std::string>("weights") == "average";
  for (const std::string& path : config.get<std::vector<std::string>>("checkpoint")) {
    std::vector<std::string> passed_over;
    for (auto& model : load_trained_models(path, averaged, passed_over)) {
      models.push_back(std::move(model));
      check_alike(config, *models.front(), *models.back());
    }
    for (const std::string& damage : passed_over)
      if (speaks) fmt::print(stderr, "[evaluate] passed over, damaged: {}\n", damage);
  }
  return models;
}

/// What one of --crops makes of pictures; the same for all models.
std::optional<PictureCrops> cuts_of(const Models& models, const std::string& crops, const DatasetOptions& options, const DatasetInfo& data) {
  const auto of = [&](const TrainedModel& model) { return picture_crops_of(crops_of(crops), model.task, data, options.resize_short); };
  const std::optional<PictureCrops> first = of(*models.front());
  for (const auto& model : models)
    if (const auto other = of(*model); other && (other->size[0] != first->size[0] || other->size[1] != first->size[1]))
      throw UsageError(fmt::format("--crops={}: {} takes {} x {} pixels and {} {} x {}: evaluate them one by one",
                                   crops, models.front()->file.string(), first->size[0], first->size[1], model->file.string(), other->size[0], other->size[1]));
  return first;
}

/// What is evaluated, and with what.
struct Evaluation {
  Models models = {};
  std::unique_ptr<Dataset> dataset = nullptr;
  std::unique_ptr<Backend> backend = nullptr;
  std::vector<std::string> crops = {};
  std::vector<std::optional<PictureCrops>> cuts = {};  // for each of crops
  std::vector<std::unique_ptr<StateMemory>> memories = {};
};

/// Collective. Everything that can be wrong is found before anything is computed.
Evaluation prepare(const Config& config, World& world) {
  Evaluation evaluation{.crops = config.get<std::vector<std::string>>("crops")};
  const Seats seats = find_seats(config, world.all(), world.host());
  agree(world.all(), "the device, the models and the data", [&] {
    Evaluation& e = evaluation;
    e.models = load_models(config, world.rank() == 0);
    const DatasetOptions options = data_to_read(config, *e.models.front());
    e.dataset = open_split(config, options);
    for (const auto& model : e.models) check_fit(e.dataset->info(), *model);
    for (const std::string& crops : e.crops) e.cuts.push_back(cuts_of(e.models, crops, options, e.dataset->info()));
    e.backend = make_backend(config, seats, computation_of(e.models));
    for (std::size_t m = 1; m < e.models.size(); ++m) e.backend->adopt_plans(recorded_plans(e.models[m]->checkpoint.run_record));
    for (const auto& model : e.models) e.memories.push_back(std::make_unique<StateMemory>(model->state, e.backend->device()));
  });
  return evaluation;
}

/// Collective. With the views of crops[which].
EvaluationResult measure(const Evaluation& evaluation, std::size_t which, const Config& config, World& world) {
  Communicator& all = world.all();
  const Models& models = evaluation.models;
  const std::vector<std::string> hosts = all.all_gather_strings(world.host());
  const auto ranks_on_node = static_cast<int>(std::count(hosts.begin(), hosts.end(), world.host()));
  const int threads = evaluation.backend->device().is_host()
                          ? threads_for(config.get<int>("device.threads"), usable_cores(), ranks_on_node, 1 << 20)
                          : 1;
  const bool table = config.get<bool>("table");
  EvaluationProgress progress(world.rank() == 0, world.size());
  std::vector<EvaluatedModel> evaluated;
  for (std::size_t m = 0; m < models.size(); ++m) evaluated.push_back({&models[m]->task, evaluation.memories[m].get()});
  std::unique_ptr<Evaluator> evaluator;
  bind_alike(all, *evaluation.backend, recorded_plans(models.front()->checkpoint.run_record), [&] {
    evaluator = std::make_unique<Evaluator>(evaluated, *evaluation.backend,
                                            EvaluatorOptions{.threads = threads,
                                                             .loader_threads = config.get<int>("data.threads"),
                                                             .keep_samples = !table,
                                                             .growing = table,
                                                             .augment = models.front()->augment,
                                                             .crops = crops_of(evaluation.crops[which]),
                                                             .cuts = evaluation.cuts[which],
                                                             .progress = progress.sink()});
  });
  return evaluator->run(*evaluation.dataset, all);
}

int evaluate(const Config& config, World& world) {
  const Watch watch(world, {}, print_watch);
  try {
    const Evaluation evaluation = prepare(config, world);
    std::vector<EvaluationResult> results;
    for (std::size_t which = 0; which < evaluation.crops.size(); ++which) results.push_back(measure(evaluation, which, config, world));
    agree(world.all(), "the results", [&] {
      if (world.rank() != 0) return;
      if (config.get<bool>("table"))
        report_table(evaluation.models, *evaluation.backend, config, results);
      else
        report_evaluation(evaluation.models, *evaluation.backend, config, results.front(), *evaluation.dataset);
    });
    return 0;
  } catch (const AgreedError& error) {
    if (world.rank() == 0) print_failure(error.what());
    return error.status();
  }
}

void check(const Config& config) {
  if (config.get<std::vector<std::string>>("checkpoint").empty())
    throw UsageError("--checkpoint is missing: a checkpoint file, a run folder or an ensemble");
  if (const auto crops = config.get<std::vector<std::string>>("crops"); crops.size() > 1 && !config.get<bool>("table"))
    throw UsageError(fmt::format("--crops={}: several are for --table, which prints the errors with each of them", fmt::join(crops, ",")));
  if (config.get<bool>("table") && config.given("output"))
    throw UsageError("--output is for pictures, and --table draws none; leave one of them out");
  if (config.get<std::string>("crops") == "144" && config.get<std::int64_t>("data.resize-short") > 0)
    throw UsageError("data.resize-short does not go with --crops=144, which brings pictures to four sizes of its own; leave it out");
}

}  // namespace

Command evaluate_command() {
  return {"evaluate",
          "measure a trained model on a split of a data set",
          {{.path = "evaluate",
            .summary = "measure a trained model on a split of a data set",
            .usage = "evaluate --checkpoint PATH [PATH ...] [--crops=1|10|144|dense] [--table] [--data.path=DIR] [--data.split=test]",
            .description =
                "Prints the loss, top-1 and top-5 accuracy and the confusion matrix, and draws confusion.png and "
                "mistakes.png (the mistakes with the greatest loss) into the run's folder or into --output. Samples are "
                "summed in a fixed order: under mpirun any number of ranks gives the same numbers. It computes in the "
                "precision that the model was trained in, on the cpu as on a GPU (tf32, which is a GPU's: on the cpu in "
                "fp32).\n\n"
                "PATH is a checkpoint file, or a run's folder: then its best checkpoint, else its latest; or the folder or ensemble.h5 of "
                "an ensemble, whose members are read and must be what it was made of. Without "
                "--data.path it reads the data set that the model was trained on. The class probabilities of several models, "
                "and of several views of an image (--crops), are averaged; the scores of each model are printed beside those of "
                "their mean. --table prints, for each of several --crops, the top-1 and top-5 errors of the first model, of the first two "
                "and so on, and what they are below those of one model with the first of --crops (Szegedy et al. 2015, table 3).\n\n"
                "--crops=10 cuts the corners and the middle, each also mirrored, from stored images that are larger than what the "
                "model takes (data.crop), or from pictures whose shorter side is brought to data.resize-short, that of the training "
                "run unless given here. --crops=144 is GoogLeNet's (Szegedy et al. 2015, section 7): pictures, encoded or stored as "
                "uint8, are brought to a shorter side of 256, 288, 320 and 352 pixels (for a model that takes 224; in proportion for "
                "others); of each the left, middle and right square (or top, middle and bottom) gives its corners, its middle and "
                "itself brought to 224, each also mirrored. Small pictures are enlarged. --crops=dense takes samples as large as "
                "the data set delivers them: of encoded pictures data.size.",
            .examples = "convoy evaluate --checkpoint=runs/lenet-5\n"
                        "convoy evaluate --checkpoint runs/a runs/b runs/c --crops=144\n"
                        "convoy evaluate --checkpoint=runs/seven --table --crops=1,10,144\n"
                        "mpirun -n 2 convoy evaluate --checkpoint=runs/lenet-5 --data.split=validation --format=json",
            .check = check,
            .run_on_ranks = evaluate}}};
}

}  // namespace convoy
