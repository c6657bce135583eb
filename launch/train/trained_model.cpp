#include "launch/train/trained_model.h"

#include <fmt/format.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "io/ensemble_file.h"
#include "launch/train/run_spec.h"

namespace convoy {
namespace {

const std::string& fact(const RunRecord& record, const std::string& name, const std::string& file) {
  const auto entry = record.find(name);
  if (entry == record.end()) throw DataError(fmt::format("{}: the run record has no \"{}\"", file, name));
  return entry->second;
}

DatasetInfo data_from(const RunRecord& record, const std::string& file) {
  DatasetInfo info;
  try {
    info.task = fact(record, "data.task", file);
    info.dtype = dtype_from_name(fact(record, "data.dtype", file));
    info.sample = Shape(nlohmann::json::parse(fact(record, "data.sample", file)).get<std::vector<std::int64_t>>());
    info.class_names =
        nlohmann::json::parse(fact(record, "data.class-names", file)).get<std::vector<std::string>>();
    info.channel_mean = nlohmann::json::parse(fact(record, "data.mean", file)).get<std::vector<double>>();
    info.channel_std = nlohmann::json::parse(fact(record, "data.deviation", file)).get<std::vector<double>>();
    info.samples = std::stoll(fact(record, "data.samples", file));
    info.fingerprint = fact(record, "data.fingerprint", file);
    if (record.contains("data.views")) {
      info.has_views = true;
      info.encoding = fact(record, "data.views", file);
    }
    if (record.contains("data.colors")) {
      const auto colors = nlohmann::json::parse(fact(record, "data.colors", file)).get<std::vector<std::vector<double>>>();
      info.color_values = colors.at(0);
      info.color_vectors = colors.at(1);
    }
  } catch (const nlohmann::json::exception& error) {
    throw DataError(fmt::format("{}: the run record's facts about the data cannot be read: {}", file, error.what()));
  } catch (const std::logic_error& error) {
    throw DataError(fmt::format("{}: the run record's facts about the data cannot be read: {}", file, error.what()));
  }
  return info;
}

/// What belongs to layers that are trained, and no part of what was trained (auxiliary heads).
void drop_training_only(const Graph& graph, Checkpoint& checkpoint) {
  for (auto* tensors : {&checkpoint.parameters, &checkpoint.state, &checkpoint.averages})
    std::erase_if(*tensors, [&](const auto& entry) {
      return std::any_of(graph.training_only.begin(), graph.training_only.end(),
                         [&](const std::string& scope) { return entry.first.starts_with(scope + "/"); });
    });
}

}  // namespace

void record_data(const DatasetInfo& info, RunRecord& record) {
  const auto extents = info.sample.extents();
  record["data.task"] = info.task;
  record["data.dtype"] = name_of(info.dtype);
  record["data.sample"] = nlohmann::json(std::vector<std::int64_t>(extents.begin(), extents.end())).dump();
  record["data.class-names"] = nlohmann::json(info.class_names).dump();
  record["data.mean"] = nlohmann::json(info.channel_mean).dump();
  record["data.deviation"] = nlohmann::json(info.channel_std).dump();
  record["data.samples"] = std::to_string(info.samples);
  record["data.fingerprint"] = info.fingerprint;
  if (info.has_views) record["data.views"] = info.encoding;
  if (!info.color_values.empty()) record["data.colors"] = nlohmann::json({info.color_values, info.color_vectors}).dump();
}

namespace {

TrainedModel model_from(const std::filesystem::path& file, Checkpoint checkpoint, bool averaged) {
  DatasetInfo data = data_from(checkpoint.run_record, file.string());
  Config config = Config::from_text("train", checkpoint.config, file.string() + ": the config in it");
  const RunSpec spec = make_run_spec(config, data);
  const EvaluationGraph graph = build_evaluation_graph(spec.task);
  ModelState state = state_for_inference(graph.graph, spec.seeds.init);
  drop_training_only(graph.graph, checkpoint);
  restore(state, checkpoint, false, file.string());
  if (averaged) take_averages(state, checkpoint, file.string());
  for (auto* tensors : {&checkpoint.parameters, &checkpoint.optimizer, &checkpoint.state, &checkpoint.averages})
    tensors->clear();
  return {file, std::move(checkpoint), std::move(config), std::move(data), spec.task, spec.augment, std::move(state)};
}

}  // namespace

TrainedModel load_trained_model(const std::filesystem::path& path, bool averaged, std::vector<std::string>& passed_over) {
  const std::filesystem::path file = resolve_checkpoint(path, &passed_over);
  return model_from(file, read_checkpoint(file), averaged);
}

std::vector<std::unique_ptr<TrainedModel>> load_trained_models(const std::filesystem::path& path, bool averaged,
                                                               std::vector<std::string>& passed_over) {
  std::vector<std::unique_ptr<TrainedModel>> models;
  const std::filesystem::path ensemble = find_ensemble(path);
  if (ensemble.empty()) {
    models.push_back(std::make_unique<TrainedModel>(load_trained_model(path, averaged, passed_over)));
    return models;
  }
  for (const EnsembleMember& member : read_ensemble(ensemble))
    models.push_back(
        std::make_unique<TrainedModel>(model_from(ensemble.parent_path() / member.file, read_member(ensemble, member), averaged)));
  return models;
}

Computation computation_of(const TrainedModel& model) {
  return {.precision = fact(model.checkpoint.run_record, "precision", model.file.string()), .of_trained_model = true};
}

std::string precision_on(const Backend& backend, const TrainedModel& model) {
  const Computation trained = computation_of(model);
  return backend.device().is_host() && trained.precision == "tf32" ? "fp32" : trained.precision;
}

std::filesystem::path run_folder_of(const std::filesystem::path& checkpoint) {
  const std::filesystem::path folder = std::filesystem::weakly_canonical(checkpoint).parent_path();
  return folder.filename() == "checkpoints" ? folder.parent_path() : std::filesystem::path();
}

}  // namespace convoy
