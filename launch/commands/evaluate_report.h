#pragma once
// What `convoy evaluate` says of its results.
#include <memory>
#include <vector>

#include "core/backend/backend.h"
#include "io/dataset.h"
#include "launch/config.h"
#include "launch/train/evaluator.h"
#include "launch/train/trained_model.h"

namespace convoy {

using Models = std::vector<std::unique_ptr<TrainedModel>>;

/// Prints scores and the confusion matrix (--format), and draws it and the worst mistakes where images are pictures.
void report_evaluation(const Models& models, const Backend& backend, const Config& config, const EvaluationResult& result,
                       const Dataset& dataset);

/// Prints (--format) the errors of the first 1, 2, ... models for each of --crops, of which `results` are.
void report_table(const Models& models, const Backend& backend, const Config& config, const std::vector<EvaluationResult>& results);

}  // namespace convoy
