#pragma once
// One model's run: its folder RUNS/NAME, its trainer, and what becomes of them when something goes wrong. A process may have
// several runs, one after the other.
#include <filesystem>
#include <memory>
#include <string>

#include "launch/train/model_trainer.h"

namespace convoy {

/// status.json of a run that failed, in its `folder`; best effort, for the message matters more. Where there is no trainer yet the
/// run stands where it stood. Any thread of any rank.
void record_failure(const std::filesystem::path& folder, const ModelTrainer* trainer, int status, const std::string& reason, int rank,
                    bool again = true);

class ModelRun {
 public:
  /// Collective over the ranks that will train. Makes and locks the folder; AgreedError where that cannot be.
  ModelRun(const Config& config, Communicator& all);

  /// Absolute; the same on every rank.
  const std::filesystem::path& path() const { return path_; }
  /// Rank 0's; null on the others.
  RunFolder* folder() const { return folder_.get(); }

  /// Collective over the team. Trains to the end as --mode says. Returns and throws what ModelTrainer::run does; status.json
  /// tells of an AgreedError by then.
  int train(Team& team);

  /// After train(): ModelTrainer::lost_ranks.
  bool lost_ranks() const { return trainer_ && trainer_->lost_ranks(); }

  /// status.json for a failure that this run did not tell itself. Any thread.
  void record_failure(int status, const std::string& reason, int rank, bool again = true) const {
    convoy::record_failure(path_, trainer_.get(), status, reason, rank, again);
  }

 private:
  const Config& config_;
  std::unique_ptr<RunFolder> folder_;
  std::filesystem::path path_;
  std::unique_ptr<ModelTrainer> trainer_;
};

}  // namespace convoy
