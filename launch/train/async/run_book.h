#pragma once
// Rank 0's account of an asynchronous run: what was applied, of which samples, when a checkpoint or an evaluation is due, and
// what becomes of the states that were taken for them.
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "distributed/server/push.h"
#include "io/checkpoint_saver.h"
#include "io/push_log.h"
#include "io/run_folder.h"
#include "launch/train/async/background_evaluator.h"
#include "launch/train/epoch_ledgers.h"
#include "launch/train/progress.h"
#include "launch/train/run_spec.h"
#include "launch/train/save_times.h"

namespace convoy {

/// What a snapshot of the parameters is wanted for.
struct Due {
  bool saves = false, evaluates = false;
  std::int64_t epoch = -1;               // that ended; -1: none
  bool any() const { return saves || evaluates; }
};

/// A state of the model at one place of the order, and what a checkpoint says beside.
struct Snapshot {
  Due due;
  Checkpoint marks;
  ModelState state;
};

class RunBook {
 public:
  /// `folder`, `progress` and the others outlive this object. `evaluator` may be null. `record`: the run record.
  RunBook(const Config& config, const RunSpec& spec, const Dataset& data, RunFolder& folder, Progress& progress,
          Communicator& alone, BackgroundEvaluator* evaluator, const RunRecord& record, const std::string& graph_hash,
          int world_size);

  void begin_afresh();
  /// After a checkpoint was restored from `file`, which is one of the run's own or not.
  void go_on_from(const Checkpoint& checkpoint, const std::string& file, bool own);
  /// Collectively used memory of the first save; the injected faults of saves.
  CheckpointSaver& saver() { return saver_; }
  /// Fault injection: called before each save with their number so far; the errno that it is to fail with.
  void before_save(std::function<std::optional<int>(std::int64_t)> hook) { before_save_ = std::move(hook); }
  void reserve(const ModelState& state);

  /// An update by these pushes, or pushes that were skipped (`applied` false). `workers`: that live.
  void add(const std::vector<Push>& pushes, bool applied, double rate, int workers);
  /// Micro-batches that no worker's push stands for: their samples count as dropped.
  void leave_out(const std::vector<std::int64_t>& units);
  /// To be called after add(): the units that are done. What is due now, at this very place of the order.
  Due passed(std::int64_t finished, std::int64_t watermark);

  /// The marks of a snapshot taken now. `mode`: the mode's own.
  Checkpoint marks(std::int64_t updates, const std::map<std::string, std::string>& mode) const;
  /// Saves and evaluates it, in its turn.
  void take(Snapshot snapshot);
  /// Whether so many snapshots wait that no more should be made.
  bool is_behind() const { return snapshots_.size() >= 2; }
  /// Goes on with what waits; never blocks for long. Whether anything happened. LibraryError after three failed saves in a row.
  bool work();
  /// All snapshots are evaluated, and written.
  bool idle() const;

  /// That rank 0 takes, for the records.
  void set_booked_bytes(std::size_t bytes) { booked_bytes_ = bytes; }
  std::int64_t step() const { return step_; }
  std::int64_t applied_units() const { return applied_units_; }
  /// For status.json. Any thread.
  RunStatus status(int status, const std::string& reason, int rank) const;
  const std::string& last_digest() const { return last_digest_; }
  const std::string& last_checkpoint() const { return last_checkpoint_; }
  const SaveTimes& saves() const { return saves_; }
  std::int64_t dropped_samples() const { return dropped_samples_; }
  std::int64_t dropped_units() const { return dropped_units_; }
  /// A line for metrics.jsonl.
  void log(const std::string& record);
  /// Applied units of each worker, over all lives of the run.
  std::map<int, std::int64_t>& clocks() { return clocks_; }
  /// How many pushes were applied at each staleness (versions between its pull and its application), by worker, in this life.
  using Histogram = std::map<std::int64_t, std::int64_t>;
  const std::map<int, Histogram>& staleness() const { return staleness_; }

 private:
  struct Save {
    Checkpoint checkpoint;
    bool is_best = false;
  };
  const Config& config_;
  const RunSpec& spec_;
  const Dataset& data_;
  RunFolder& folder_;
  Progress& progress_;
  Communicator& alone_;
  BackgroundEvaluator* evaluator_;
  const RunRecord record_;
  const std::string graph_hash_;
  const int world_size_;
  std::size_t booked_bytes_ = 0;
  SampleOrder order_;
  std::unique_ptr<EpochLedgers> ledgers_;
  std::map<std::int64_t, EpochLedger> dropped_;   // by open epoch
  std::int64_t dropped_samples_ = 0, dropped_units_ = 0;
  std::function<std::optional<int>(std::int64_t)> before_save_;
  std::int64_t saves_tried_ = 0;
  std::map<int, std::int64_t> clocks_;
  std::map<int, Histogram> staleness_;
  std::int64_t step_ = 0, epoch_ = 0;             // steps done; the first epoch that is not over
  std::int64_t applied_units_ = 0;
  double loss_ = 0, weight_ = 0, top1_ = 0, input_ = 0, pull_ = 0;  // since the last step
  double rate_ = 0;
  std::optional<std::pair<double, std::int64_t>> best_;
  std::string train_metrics_ = "null", validation_metrics_ = "null";
  std::deque<Snapshot> snapshots_;                // the first may be being evaluated
  bool evaluating_ = false;
  std::deque<Save> saves_waiting_;
  std::optional<Save> saving_;
  std::int64_t try_again_at_ns_ = 0;
  mutable CheckpointSaver saver_;
  SaveTimes saves_;
  std::string last_checkpoint_, last_digest_;
  bool metrics_lost_ = false;
  mutable std::mutex standing_mutex_;
  RunStatus standing_;                            // guarded by standing_mutex_

  double exact_epoch(std::int64_t step) const;
  std::int64_t epoch_end(std::int64_t epoch) const;
  std::int64_t last_epoch() const;
  bool save_is_due(std::int64_t step) const;
  void end_step(bool last);
  void close_epochs(std::int64_t watermark, Due& due);
  void enqueue(const Snapshot& snapshot, bool is_best);
  bool work_on_snapshots();
  bool work_on_saves();
  void take_reports();
  bool note_evaluation(const Snapshot& snapshot, const BackgroundEvaluator::Outcome& outcome);
  void mark_standing();
};

}  // namespace convoy
