#pragma once
// A model as a checkpoint holds it, ready to be used without its training data.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/models/training.h"
#include "io/checkpoint.h"
#include "io/dataset.h"
#include "io/loader.h"
#include "launch/config.h"
#include "launch/train/devices.h"
#include "launch/train/model_state.h"

namespace convoy {

struct TrainedModel {
  std::filesystem::path file;      // of the checkpoint
  Checkpoint checkpoint;           // without its tensors
  Config config;                   // of the run that wrote it
  DatasetInfo data;                // what the model was trained on, from the run record
  Task task;
  AugmentOptions augment;
  ModelState state;
};

/// `path`: a checkpoint or a run folder (best, else latest). Throws DataError for a checkpoint that does not verify or
/// does not fit the model that its config describes. `passed_over`: a sentence for each newer checkpoint that is damaged.
/// `averaged`: with the averages in place of the last weights and statistics; UsageError where the run kept none.
TrainedModel load_trained_model(const std::filesystem::path& path, bool averaged, std::vector<std::string>& passed_over);

/// The same for all models that `path` names: those of an ensemble, by its folder or ensemble.h5, whose checkpoints must be those that
/// it was made of; else the one of load_trained_model.
std::vector<std::unique_ptr<TrainedModel>> load_trained_models(const std::filesystem::path& path, bool averaged,
                                                               std::vector<std::string>& passed_over);

/// What it was trained in: fp32, tf32, bf16 or fp16. Evaluation and prediction compute in the same, on every device (tf32 on the
/// cpu: in fp32).
Computation computation_of(const TrainedModel& model);
/// What such a backend really computes it in.
std::string precision_on(const Backend& backend, const TrainedModel& model);

/// The facts about the training data that evaluation and prediction need; they are part of the run record.
void record_data(const DatasetInfo& info, RunRecord& record);

/// The run folder that holds a checkpoint; empty where it lies elsewhere.
std::filesystem::path run_folder_of(const std::filesystem::path& checkpoint);

}  // namespace convoy
