#pragma once
// How one model is trained by a team of ranks: a class for each --mode.
#include <memory>
#include <string>

#include "io/run_folder.h"
#include "launch/config.h"
#include "launch/train/team.h"

namespace convoy {

class ModelTrainer {
 public:
  virtual ~ModelTrainer() = default;
  /// Collective over the team. Trains to the end. Returns the exit status: 0, or 75 after a signal; both stand in the run
  /// folder's status.json by then. Throws what went wrong: AgreedError on every rank, or anything on one of them alone.
  virtual int run() = 0;
  /// For status.json when the run fails: where it stood. Any thread; a checkpoint that is being written gets a second to
  /// become complete.
  virtual RunStatus status(int status, const std::string& reason, int rank) const = 0;
  /// After run(): whether it went on without ranks that died, so that nothing collective may follow.
  virtual bool lost_ranks() const { return false; }
};

/// Collective over the team: the trainer that --mode names, ready to run. It begins or resumes in `folder`: the team's rank 0's,
/// null on the others. All outlive it.
std::unique_ptr<ModelTrainer> make_trainer(const Config& config, Team& team, RunFolder* folder);

}  // namespace convoy
