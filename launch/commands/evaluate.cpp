// convoy evaluate: a trained model on a split, with the confusion matrix and pictures of the mistakes.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/metrics/confusion.h"
#include "core/tensor/error.h"
#include "distributed/watch/watch.h"
#include "io/confusion_picture.h"
#include "io/mistakes_picture.h"
#include "launch/commands/commands.h"
#include "launch/errors.h"
#include "launch/train/agreement.h"
#include "launch/data_options.h"
#include "launch/train/evaluator.h"
#include "launch/train/plans.h"
#include "launch/train/run_spec.h"
#include "launch/train/trained_model.h"

namespace convoy {
namespace {

constexpr std::size_t kMistakesShown = 36;

using Models = std::vector<std::unique_ptr<TrainedModel>>;

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
  if (options.split == Split::test && !config.given("data.path") && !options.images.empty() &&
      !std::filesystem::is_directory(options.path))
    throw UsageError(fmt::format("{} was trained on the file {}, which has no test split; name test data with "
                                 "--data.path, or give --data.split=train or validation",
                                 model.file.string(), options.path.string()));
  return options;
}

std::unique_ptr<Dataset> open_split(const Config& config, const TrainedModel& model) {
  const DatasetOptions options = data_to_read(config, model);
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
void check_alike(const TrainedModel& first, const TrainedModel& other) {
  if (other.task.classes != first.task.classes)
    throw UsageError(fmt::format("{} has {} classes and {} has {}: they cannot be averaged", first.file.string(),
                                 first.task.classes, other.file.string(), other.task.classes));
  for (const char* option : {"data.size", "data.resize-short"})
    if (other.config.get<std::string>(option) != first.config.get<std::string>(option))
      throw UsageError(fmt::format("{} has {} = '{}' and {} '{}': they see different parts of the same pictures, and cannot be "
                                   "averaged", first.file.string(), option, first.config.get<std::string>(option),
                                   other.file.string(), other.config.get<std::string>(option)));
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
    models.push_back(std::make_unique<TrainedModel>(load_trained_model(path, averaged, passed_over)));
    for (const std::string& damage : passed_over)
      if (speaks) fmt::print(stderr, "[evaluate] passed over, damaged: {}\n", damage);
    check_alike(*models.front(), *models.back());
  }
  return models;
}

/// Names of all outputs: those of the training data, then numbers where the model has more.
std::vector<std::string> names_of_classes(const TrainedModel& model) {
  std::vector<std::string> names = model.data.class_names;
  while (static_cast<std::int64_t>(names.size()) < model.task.classes) names.push_back(fmt::format("{}", names.size()));
  return names;
}

/// The mistakes with the greatest loss, worst first; ties by index.
std::vector<SampleResult> worst_mistakes(const EvaluationResult& result) {
  std::vector<SampleResult> mistakes;
  for (const SampleResult& sample : result.each)
    if (sample.predicted != sample.label) mistakes.push_back(sample);
  std::sort(mistakes.begin(), mistakes.end(), [](const SampleResult& a, const SampleResult& b) {
    return a.loss != b.loss ? a.loss > b.loss : a.index < b.index;
  });
  if (mistakes.size() > kMistakesShown) mistakes.resize(kMistakesShown);
  return mistakes;
}

void draw(const std::filesystem::path& folder, const ConfusionMatrix& matrix, const std::vector<SampleResult>& worst,
          const Dataset& dataset) {
  const std::vector<std::string>& names = matrix.class_names();
  confusion_picture(names, matrix.counts()).save(folder / "confusion.png");
  std::vector<MistakenSample> mistakes;
  for (const SampleResult& sample : worst) {
    Tensor image(dataset.info().sample, dataset.info().dtype);
    std::int32_t label = 0;
    dataset.read(sample.index, image.bytes(), &label);
    mistakes.push_back({image, names[static_cast<std::size_t>(sample.label)],
                        names[static_cast<std::size_t>(sample.predicted)], static_cast<double>(sample.probability)});
  }
  mistakes_picture(mistakes).save(folder / "mistakes.png");
}

/// --output, else the run folder; empty where a picture would be drawn for a volume or has no place.
std::filesystem::path picture_folder(const Config& config, const TrainedModel& model) {
  const auto output = config.get<std::filesystem::path>("output");
  if (!output.empty()) return output;
  const std::filesystem::path run = run_folder_of(model.file);
  return run.empty() ? std::filesystem::path(".") : run;
}

/// How the models' answers were averaged; empty where there is one of one view.
std::string averaging(std::size_t models, const std::string& crops) {
  std::string text;
  if (crops != "1") text += crops == "dense" ? "whole images and their mirror images" : crops + " crops";
  if (models > 1) text += fmt::format("{}{} models", text.empty() ? "" : " and ", models);
  return text.empty() ? text : "averaged over " + text;
}

std::string json_text(const Models& models, const Backend& backend, const Config& config, const EvaluationResult& result,
                      const ConfusionMatrix& matrix, const std::vector<std::string>& pictures) {
  auto each = nlohmann::ordered_json::array();
  for (std::size_t m = 0; m < models.size(); ++m)
    each.push_back({{"checkpoint", models[m]->file.string()},
                    {"step", models[m]->checkpoint.step},
                    {"precision", precision_on(backend, *models[m])},
                    {"loss", result.models[m].loss},
                    {"top1", result.models[m].top1},
                    {"top5", result.models[m].top5}});
  nlohmann::ordered_json json{{"checkpoint", models.front()->file.string()},
                              {"step", models.front()->checkpoint.step},
                              {"precision", precision_on(backend, *models.front())},
                              {"split", config.get<std::string>("data.split")},
                              {"crops", config.get<std::string>("crops")},
                              {"samples", result.samples},
                              {"loss", result.loss},
                              {"top1", result.top1},
                              {"top5", result.top5},
                              {"models", each},
                              {"confusion", nlohmann::ordered_json::parse(matrix.json())},
                              {"pictures", pictures}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string scores_text(const Scores& scores) {
  return fmt::format("loss {:.6f}   top-1 {:.2f} %   top-5 {:.2f} %", scores.loss, 100 * scores.top1, 100 * scores.top5);
}

void print_text(const Models& models, const Backend& backend, const Config& config, const EvaluationResult& result,
                const ConfusionMatrix& matrix, const std::vector<std::string>& pictures) {
  const std::string where = fmt::format("the {} samples of the {} split", result.samples, config.get<std::string>("data.split"));
  const std::string averaged = averaging(models.size(), config.get<std::string>("crops"));
  if (models.size() == 1) {
    fmt::print("{}, step {}, in {} on {}\n", models.front()->file.string(), models.front()->checkpoint.step,
               precision_on(backend, *models.front()), where);
  } else {
    fmt::print("{} models on {}\n", models.size(), where);
    for (std::size_t m = 0; m < models.size(); ++m)
      fmt::print("  {}   {}, step {}, in {}\n", scores_text(result.models[m]), models[m]->file.string(),
                 models[m]->checkpoint.step, precision_on(backend, *models[m]));
  }
  if (!averaged.empty()) fmt::print("{}:\n", averaged);
  fmt::print("{}\n\n{}", scores_text(result), matrix.text());
  for (const std::string& picture : pictures) fmt::print("{}\n", picture);
}

void report(const Models& models, const Backend& backend, const Config& config, const EvaluationResult& result, const Dataset& dataset) {
  const TrainedModel& first = *models.front();
  ConfusionMatrix matrix(names_of_classes(first));
  for (const SampleResult& sample : result.each) matrix.add(sample.label, sample.predicted);
  std::vector<std::string> pictures;
  if (dataset.info().sample.rank() == 3) {
    const std::filesystem::path folder = picture_folder(config, first);
    std::filesystem::create_directories(folder);
    draw(folder, matrix, worst_mistakes(result), dataset);
    for (const char* name : {"confusion.png", "mistakes.png"}) pictures.push_back((folder / name).string());
  }
  if (config.get<std::string>("format") == "json")
    fmt::print("{}", json_text(models, backend, config, result, matrix, pictures));
  else
    print_text(models, backend, config, result, matrix, pictures);
}

int evaluate(const Config& config, World& world) {
  Communicator& all = world.all();
  const Watch watch(world, {}, print_watch);
  try {
    Models models;
    std::unique_ptr<Dataset> dataset;
    std::unique_ptr<Backend> backend;
    const Seats seats = find_seats(config, all, world.host());
    agree(all, "the device, the models and the data", [&] {
      models = load_models(config, world.rank() == 0);
      dataset = open_split(config, *models.front());
      for (const auto& model : models) check_fit(dataset->info(), *model);
      backend = make_backend(config, seats, computation_of(models));
    });
    const std::vector<std::string> hosts = all.all_gather_strings(world.host());
    const auto ranks_on_node = static_cast<int>(std::count(hosts.begin(), hosts.end(), world.host()));
    const int threads = backend->device().is_host()
                            ? threads_for(config.get<int>("device.threads"), usable_cores(), ranks_on_node, 1 << 20)
                            : 1;
    std::vector<std::unique_ptr<StateMemory>> memories;
    std::unique_ptr<Evaluator> evaluator;
    for (std::size_t m = 1; m < models.size(); ++m)
      backend->adopt_plans(recorded_plans(models[m]->checkpoint.run_record));
    bind_alike(all, *backend, recorded_plans(models.front()->checkpoint.run_record), [&] {
      std::vector<EvaluatedModel> evaluated;
      for (const auto& model : models) {
        memories.push_back(std::make_unique<StateMemory>(model->state, backend->device()));
        evaluated.push_back({&model->task, memories.back().get()});
      }
      evaluator = std::make_unique<Evaluator>(evaluated, *backend,
                                              EvaluatorOptions{.threads = threads,
                                                               .loader_threads = config.get<int>("data.threads"),
                                                               .keep_samples = true,
                                                               .augment = models.front()->augment,
                                                               .crops = crops_of(config.get<std::string>("crops"))});
    });
    const EvaluationResult result = evaluator->run(*dataset, all);
    agree(all, "the results", [&] {
      if (world.rank() == 0) report(models, *backend, config, result, *dataset);
    });
    return 0;
  } catch (const AgreedError& error) {
    if (world.rank() == 0) print_failure(error.what());
    return error.status();
  }
}

void check(const Config& config) {
  if (config.get<std::vector<std::string>>("checkpoint").empty())
    throw UsageError("--checkpoint is missing: a checkpoint file or a run folder");
}

}  // namespace

Command evaluate_command() {
  return {"evaluate",
          "measure a trained model on a split of a data set",
          {{.path = "evaluate",
            .summary = "measure a trained model on a split of a data set",
            .usage = "evaluate --checkpoint PATH [PATH ...] [--crops=1|10|dense] [--data.path=DIR] [--data.split=test]",
            .description =
                "Prints the loss, top-1 and top-5 accuracy and the confusion matrix, and draws confusion.png and "
                "mistakes.png (the mistakes with the greatest loss) into the run's folder or into --output. Samples are "
                "summed in a fixed order: under mpirun any number of ranks gives the same numbers. It computes in the "
                "precision that the model was trained in, on the cpu as on a GPU (tf32, which is a GPU's: on the cpu in "
                "fp32).\n\n"
                "PATH is a checkpoint file, or a run's folder: then its best checkpoint, else its latest. Without "
                "--data.path it reads the data set that the model was trained on. The class probabilities of several models, "
                "and of several views of an image (--crops), are averaged; the scores of each model are printed beside those of "
                "their mean.",
            .examples = "convoy evaluate --checkpoint=runs/lenet-5\n"
                        "convoy evaluate --checkpoint runs/a runs/b runs/c --crops=10\n"
                        "mpirun -n 2 convoy evaluate --checkpoint=runs/lenet-5 --data.split=validation --format=json",
            .check = check,
            .run_on_ranks = evaluate}}};
}

}  // namespace convoy
