#include "launch/train/model_run.h"

#include <fmt/format.h>

#include "launch/errors.h"
#include "launch/train/agreement.h"

namespace convoy {

void record_failure(const std::filesystem::path& folder, const ModelTrainer* trainer, int status,
                    const std::string& reason, int rank, bool again) {
  try {
    RunStatus told{.status = status, .reason = reason, .rank = rank};
    if (trainer) {
      told = trainer->status(status, reason, rank);
    } else if (const auto before = read_status(folder)) {  // the run stands where it stood
      if (status == kWrongUsage) return;                   // a command that was refused changed nothing
      told.step = before->step;
      told.epoch = before->epoch;
      told.checkpoint = before->checkpoint;
    }
    if (told.checkpoint.empty()) {  // only rank 0 knows it, and may be the one that is gone
      const CheckpointFolder checkpoints(folder / "checkpoints");
      const std::vector<std::int64_t> steps = checkpoints.steps();
      if (!steps.empty())
        told.checkpoint = "checkpoints/" + checkpoints.file_for(steps.front()).filename().string();
    }
    told.again = again;
    write_status(folder, told);
  } catch (const std::exception& error) {
    print_failure(fmt::format("status.json could not be written: {}", error.what()));
  }
}

ModelRun::ModelRun(const Config& config, Communicator& all) : config_(config) {
  agree(all, "the run folder", [&] {
    if (all.rank() != 0) return;
    folder_ =
        std::make_unique<RunFolder>(config.get<std::filesystem::path>("runs"), config.get<std::string>("run"));
    path_ = std::filesystem::absolute(folder_->path());
    for (const std::string& warning : folder_->warnings()) fmt::print(stderr, "[run] {}\n", warning);
  });
  path_ = all.broadcast_string(path_.string(), 0);
}

int ModelRun::train(Team& team) {
  try {
    trainer_ = make_trainer(config_, team, folder_.get());
    return trainer_->run();
  } catch (const AgreedError& error) {
    if (team.rank() == 0)
      record_failure(error.status(), error.what(), error.rank() < 0 ? -1 : team.world_rank(error.rank()),
                     error.again());
    throw;
  }
}

}  // namespace convoy
