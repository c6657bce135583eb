#pragma once
// --mode=sync, the training loop of one rank: data, programs, reduction, update, evaluation, checkpoints.
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "io/checkpoint_saver.h"
#include "io/run_folder.h"
#include "launch/chaos/chaos.h"
#include "launch/train/agreement.h"
#include "launch/train/epoch_ledgers.h"
#include "launch/train/evaluator.h"
#include "launch/train/model_trainer.h"
#include "launch/train/progress.h"
#include "launch/train/resume.h"
#include "launch/train/run_spec.h"
#include "launch/train/save_times.h"
#include "launch/train/step_engine.h"
#include "launch/train/stragglers.h"

namespace convoy {

class Trainer final : public ModelTrainer {
 public:
  /// Collective. Opens the data, builds the programs, starts afresh or resumes. Throws what is wrong with any of them;
  /// errors that only rank 0 can see (checkpoints) are thrown on every rank. `folder`: rank 0's, null on the others; it
  /// outlives this object.
  Trainer(const Config& config, Team& team, RunFolder* folder);
  ~Trainer() override;

  int run() override;
  RunStatus status(int status, const std::string& reason, int rank) const override;

 private:
  const Config& config_;
  Team& team_;
  Communicator& all_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Dataset> train_data_, validation_data_;
  RunSpec spec_;
  TrainingGraph training_;
  UpdateGraph update_;
  ModelState state_;
  RunRecord record_;
  RunFolder* folder_;              // null but on rank 0
  std::unique_ptr<Chaos> chaos_;   // null without --inject; before those that call it
  std::unique_ptr<StateMemory> memory_;    // of state_ on the backend's device
  std::unique_ptr<StepEngine> engine_;
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<Evaluator> evaluator_;
  std::unique_ptr<EpochLedgers> ledgers_;
  std::unique_ptr<Progress> progress_;
  std::unique_ptr<Stragglers> stragglers_;
  int threads_ = 1;
  std::int64_t step_ = 0;          // steps done: their results were taken
  std::int64_t begun_ = 0;         // steps that the engine was ordered
  std::int64_t first_step_ = 0;    // of this life
  double rate_ = 0, loss_scale_ = 1;  // of the last step done
  Requests asked_again_{};         // this rank's, by steps that were given up
  bool checkpoint_asked_ = false, stop_asked_ = false;  // by any rank; seen to where no step is under way
  std::int64_t saves_tried_ = 0;
  int rewinds_ = 0;
  std::optional<FoundCheckpoint> found_;     // rank 0's, from before the programs are bound until resume() takes it
  std::string initial_digest_;     // of the checkpoint of --init-from, empty without
  Checkpoint marks_;               // the state that is not tensors: updates, best, ledgers, ...
  std::string last_checkpoint_;    // relative to the run folder, complete
  std::string last_digest_;
  std::unique_ptr<CheckpointSaver> saver_;  // rank 0's
  SaveTimes saves_;
  mutable std::mutex standing_mutex_;
  RunStatus standing_;             // guarded by standing_mutex_: for threads that report a failure
  bool save_at_once_ = false;      // resumed from a file of another run
  std::vector<std::int64_t> repaired_at_;  // steps of audits that copied a majority's tensor, in this life
  std::int64_t asked_save_ = -1;   // the step of a save that SIGUSR1 asked for
  bool metrics_lost_ = false;
  bool newest_is_best_ = false;    // of the newest save
  bool stream_changed_ = false;    // --allow-changed: other samples in another order than the checkpoint's
  std::string train_metrics_ = "null", validation_metrics_ = "null";  // the newest record of either kind, JSON

  void open_data();
  void build_graphs();
  UpdateGraph make_update(const TrainingGraph& training, std::int64_t micro_batches) const;
  std::pair<int, int> leaves() const;
  void make_faults();
  void look_for_checkpoint();
  void build_engine();
  void build_programs();
  void start_loader();
  std::unique_ptr<Loader> make_loader(std::int64_t first_step, std::int64_t last_step, int threads) const;
  void resume();
  void take_over(const std::string& marks);
  std::string go_back(const ModelState& first);
  void introduce();
  void begin_afresh();
  void go_on_from(Checkpoint checkpoint, const std::string& file);
  Checkpoint first_marks() const;

  struct StepOutcome {
    bool checkpoint = false, stop = false;  // asked for by a signal
    bool rewound = false;                   // the step was not finite: the run stands at an earlier one now
  };
  bool falls_to(std::int64_t step, const std::function<bool(std::int64_t)>& is_due) const;
  bool save_is_due(std::int64_t step) const;
  bool save_is_wanted(std::int64_t step) const;
  bool flip_is_due(std::int64_t step) const;
  bool audit_is_due(std::int64_t step) const;
  bool stands_still_after(std::int64_t step) const;
  void begin_steps();
  void begin_step();
  StepOutcome end_step();
  void flip_bits();
  bool is_skipped(std::int64_t step) const;
  bool meet_not_finite(const StepResult& result);
  void give_up_steps();
  void skip_step(const std::string& finding);
  void rewind(const std::string& finding);
  void audit();
  void finish_step(const StepOutcome& outcome);
  void start_saver();
  void tell_traffic();
  bool evaluate_validation();
  bool evaluation_is_pending() const;
  std::int64_t last_epoch() const;
  void save(bool is_best);
  void complete_saves();
  void take_save_reports();
  void mark_standing();
  std::string done_reason() const;
  void log(const std::string& record);
  Standing standing() const;
  std::int64_t epoch_end(std::int64_t epoch) const;
  double exact_epoch(std::int64_t step) const;
};

}  // namespace convoy
