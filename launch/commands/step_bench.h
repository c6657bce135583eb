#pragma once
// A training step on one rank, on random images in memory: what bench step measures.
#include <memory>
#include <vector>

#include "core/models/training.h"
#include "core/optim/update_program.h"
#include "launch/commands/step_dump.h"
#include "launch/config.h"
#include "launch/train/step_engine.h"

namespace convoy {

struct StepBench {
  Task task;
  TrainingGraph training;
  UpdateGraph update;
  ModelState state;
  std::vector<std::unique_ptr<Communicator>> world;
  std::unique_ptr<StateMemory> memory;
  std::unique_ptr<StepEngine> engine;
  std::unique_ptr<Loader> loader;
  std::int64_t batch = 0, step = 0;
  int virtual_workers = 1, threads = 1, threads_per_micro_batch = 1;

  enum class Dropout { on, off };
  /// From the options of bench step. Throws UsageError where the batch cannot be cut. `backend` outlives it.
  StepBench(const Config& config, const Backend& backend, const OptimizerOptions& sgd, Dropout dropout = Dropout::on);
  void begin(double rate = 1e-3);
  /// A device has done all that was begun.
  void finish();
  /// Runs one step of plain gradient descent, so that the parameters' change over the rate is the gradient.
  StepDump dump();
};

}  // namespace convoy
