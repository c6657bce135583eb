#pragma once
// Classes of single images.
#include <memory>
#include <vector>

#include "core/backend/backend.h"
#include "core/graph/program.h"
#include "launch/train/program_io.h"
#include "launch/train/state_memory.h"
#include "launch/train/trained_model.h"

namespace convoy {

class Predictor {
 public:
  enum class Result { probabilities, logits };
  /// Both outlive this object. `memory`: of the model's state on the backend's device.
  Predictor(const TrainedModel& model, const StateMemory& memory, const Backend& backend, Result result = Result::probabilities);
  /// Images [s.., c] as the model's data are stored, at most batch() of them -> a number for each class.
  std::vector<std::vector<float>> run(const std::vector<Tensor>& images);
  std::int64_t batch() const { return batch_; }

 private:
  const TrainedModel& model_;
  EvaluationGraph graph_;
  Value result_;
  std::int64_t batch_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<ProgramIo> io_;
  Tensor images_, transforms_, labels_, weights_;
};

}  // namespace convoy
