#include "launch/commands/evaluate_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/metrics/confusion.h"
#include "io/confusion_picture.h"
#include "io/ensemble_file.h"
#include "io/mistakes_picture.h"

namespace convoy {
namespace {

constexpr std::size_t kMistakesShown = 36;

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

/// --output, else the run folder, of the ensemble where it is one; empty where a picture would be drawn for a volume or has no place.
std::filesystem::path picture_folder(const Config& config, const TrainedModel& model) {
  const auto output = config.get<std::filesystem::path>("output");
  if (!output.empty()) return output;
  if (const auto ensemble = find_ensemble(config.get<std::vector<std::string>>("checkpoint").front()); !ensemble.empty())
    return ensemble.has_parent_path() ? ensemble.parent_path() : ".";
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

}  // namespace

void report_evaluation(const Models& models, const Backend& backend, const Config& config, const EvaluationResult& result, const Dataset& dataset) {
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

}  // namespace convoy
