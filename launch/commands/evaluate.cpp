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

/// Whether a folder holds shards as `convoy data import` writes them.
bool holds_shards(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return false;
  for (const auto& entry : std::filesystem::directory_iterator(path))
    if (entry.path().filename().string().find("-of-") != std::string::npos) return true;
  return false;
}

/// What the model was trained on, but for what the user names now.
DatasetOptions data_to_read(const Config& config, const TrainedModel& model) {
  DatasetOptions options = dataset_options(model.config, split_of(config.get<std::string>("data.split")));
  options.stage = StageMode::none;  // every sample is read once
  if (config.given("data.path")) options.path = config.get<std::filesystem::path>("data.path");
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

std::string json_text(const TrainedModel& model, const std::string& precision, const std::string& split, const EvaluationResult& result,
                      const ConfusionMatrix& matrix, const std::vector<std::string>& pictures) {
  nlohmann::ordered_json json{{"checkpoint", model.file.string()},
                              {"step", model.checkpoint.step},
                              {"precision", precision},
                              {"split", split},
                              {"samples", result.samples},
                              {"loss", result.loss},
                              {"top1", result.top1},
                              {"top5", result.top5},
                              {"confusion", nlohmann::ordered_json::parse(matrix.json())},
                              {"pictures", pictures}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

int evaluate(const Config& config, World& world) {
  Communicator& all = world.all();
  const Watch watch(world, {}, print_watch);
  try {
    std::unique_ptr<TrainedModel> model;
    std::unique_ptr<Dataset> dataset;
    std::unique_ptr<Backend> backend;
    const Seats seats = find_seats(config, all, world.host());
    agree(all, "the device, the model and the data", [&] {
      std::vector<std::string> passed_over;
      model = std::make_unique<TrainedModel>(
          load_trained_model(config.get<std::vector<std::string>>("checkpoint").front(), passed_over));
      for (const std::string& damage : passed_over)
        if (world.rank() == 0) fmt::print(stderr, "[evaluate] passed over, damaged: {}\n", damage);
      dataset = open_split(config, *model);
      check_fit(dataset->info(), *model);
      backend = make_backend(config, seats, computation_of(*model));
    });
    const std::vector<std::string> hosts = all.all_gather_strings(world.host());
    const auto ranks_on_node = static_cast<int>(std::count(hosts.begin(), hosts.end(), world.host()));
    const int threads = backend->device().is_host()
                            ? threads_for(config.get<int>("device.threads"), usable_cores(), ranks_on_node, 1 << 20)
                            : 1;
    std::unique_ptr<StateMemory> memory;
    std::unique_ptr<Evaluator> evaluator;
    bind_alike(all, *backend, recorded_plans(model->checkpoint.run_record), [&] {
      memory = std::make_unique<StateMemory>(model->state, backend->device());
      evaluator = std::make_unique<Evaluator>(
          model->task, *backend, *memory, model->augment,
          EvaluatorOptions{.threads = threads, .loader_threads = config.get<int>("data.threads"), .keep_samples = true});
    });
    const EvaluationResult result = evaluator->run(*dataset, all);
    agree(all, "the results", [&] {
      if (world.rank() != 0) return;
      ConfusionMatrix matrix(names_of_classes(*model));
      for (const SampleResult& sample : result.each) matrix.add(sample.label, sample.predicted);
      std::vector<std::string> pictures;
      if (dataset->info().sample.rank() == 3) {
        const std::filesystem::path folder = picture_folder(config, *model);
        std::filesystem::create_directories(folder);
        draw(folder, matrix, worst_mistakes(result), *dataset);
        for (const char* name : {"confusion.png", "mistakes.png"}) pictures.push_back((folder / name).string());
      }
      const std::string split = config.get<std::string>("data.split"), precision = precision_on(*backend, *model);
      if (config.get<std::string>("format") == "json") {
        fmt::print("{}", json_text(*model, precision, split, result, matrix, pictures));
        return;
      }
      fmt::print("{}, step {}, in {} on the {} samples of the {} split\n", model->file.string(), model->checkpoint.step,
                 precision, result.samples, split);
      fmt::print("loss {:.6f}   top-1 {:.2f} %   top-5 {:.2f} %\n\n{}", result.loss, 100 * result.top1,
                 100 * result.top5, matrix.text());
      for (const std::string& picture : pictures) fmt::print("{}\n", picture);
    });
    return 0;
  } catch (const AgreedError& error) {
    if (world.rank() == 0) print_failure(error.what());
    return error.status();
  }
}

void check(const Config& config) {
  const auto checkpoints = config.get<std::vector<std::string>>("checkpoint");
  if (checkpoints.empty()) throw UsageError("--checkpoint is missing: a checkpoint file or a run folder");
  if (checkpoints.size() > 1)
    throw UsageError(fmt::format("{} checkpoints were given; this build evaluates one at a time", checkpoints.size()));
}

}  // namespace

Command evaluate_command() {
  return {"evaluate",
          "measure a trained model on a split of a data set",
          {{.path = "evaluate",
            .summary = "measure a trained model on a split of a data set",
            .usage = "evaluate --checkpoint=PATH [--data.path=DIR] [--data.split=test]",
            .description =
                "Prints the loss, top-1 and top-5 accuracy and the confusion matrix, and draws confusion.png and "
                "mistakes.png (the mistakes with the greatest loss) into the run's folder or into --output. Samples are "
                "summed in a fixed order: under mpirun any number of ranks gives the same numbers. It computes in the "
                "precision that the model was trained in, on the cpu as on a GPU (tf32, which is a GPU's: on the cpu in "
                "fp32).\n\n"
                "PATH is a checkpoint file, or a run's folder: then its best checkpoint, else its latest. Without "
                "--data.path it reads the data set that the model was trained on.",
            .examples = "convoy evaluate --checkpoint=runs/lenet-5\n"
                        "mpirun -n 2 convoy evaluate --checkpoint=runs/lenet-5 --data.split=validation --format=json",
            .check = check,
            .run_on_ranks = evaluate}}};
}

}  // namespace convoy
