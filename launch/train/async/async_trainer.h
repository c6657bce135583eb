#pragma once
// Training by asynchronous SGD against parameter servers (Downpour SGD: Dean et al. 2012, section 4.1), as GoogLeNet was trained.
//
// On every rank the main thread carries frames, is the server of its slice, and on rank 0 the sequencer; workers have threads of
// their own. A rank of workers that dies is left out; a server's death ends the run.
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "distributed/server/order.h"
#include "distributed/server/post_office.h"
#include "distributed/server/sequencer.h"
#include "launch/chaos/chaos.h"
#include "launch/train/async/liveness.h"
#include "launch/train/async/roles.h"
#include "launch/train/async/run_book.h"
#include "launch/train/async/slice_optimizer.h"
#include "launch/train/async/worker.h"
#include "launch/train/model_trainer.h"
#include "launch/train/resume.h"

namespace convoy {

class AsyncTrainer final : public ModelTrainer {
 public:
  /// As make_trainer.
  AsyncTrainer(const Config& config, Team& team, RunFolder* folder);
  ~AsyncTrainer() override;

  int run() override;
  RunStatus status(int status, const std::string& reason, int rank) const override;
  bool lost_ranks() const override { return !lost_.empty() || others_lost_; }

 private:
  const Config& config_;
  Team& team_;
  Communicator& all_;
  RunFolder* folder_;                      // null but on rank 0
  AsyncOptions options_;
  Roles roles_;
  std::unique_ptr<Progress> progress_;
  std::unique_ptr<Backend> backend_;       // the workers'
  std::unique_ptr<Backend> host_backend_;  // the server's
  std::unique_ptr<Dataset> train_data_, validation_data_;
  RunSpec spec_;
  TrainingGraph training_;
  UpdateGraph update_;
  FlatLayout layout_;
  ModelState state_;                       // first values; on rank 0 also where snapshots come together
  RunRecord record_;
  std::unique_ptr<Chaos> chaos_;
  std::optional<FoundCheckpoint> found_;
  std::string initial_digest_;
  std::unique_ptr<Communicator> alone_;    // a world of this rank
  std::vector<std::unique_ptr<Lane>> lanes_;  // until workers take them
  std::unique_ptr<Backend> evaluation_backend_;
  std::unique_ptr<BackgroundEvaluator> evaluator_;
  std::unique_ptr<SliceOptimizer> slice_;
  std::unique_ptr<ParameterServer> server_;
  int server_number_ = -1;
  std::int64_t updates_ = 0;               // that the run began with
  std::int64_t server_step_ = 0;           // of the injected faults of a rank without workers

  // Rank 0:
  std::unique_ptr<RunBook> book_;
  std::unique_ptr<Sequencer> sequencer_;
  std::unique_ptr<PushLog> log_;
  std::unique_ptr<Units> done_;            // as far as decisions were carried out: the sequencer may be ahead of them
  std::int64_t version_ = 0;               // likewise
  struct Gathering {
    Snapshot snapshot;
    std::set<int> have;                    // servers whose slices have come
  };
  std::deque<Gathering> gathering_;
  std::int64_t skipped_ = 0;               // pushes that were not finite
  bool stop_asked_ = false, save_asked_ = false, stopping_ = false, ended_ = false;
  std::int64_t began_ns_ = 0;

  std::unique_ptr<PostOffice> office_;
  std::unique_ptr<Liveness> liveness_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::map<int, std::string> lost_;        // ranks, and how
  std::int64_t beat_ns_ = 0;
  bool closing_ = false, others_lost_ = false;
  std::string failure_;                    // why the run ends, which all ranks are told; empty: in order

  // Of a replay:
  std::map<std::int64_t, Payload> versions_;     // parameters that later pushes were computed with
  std::map<int, std::unique_ptr<Lane>> repeating_;  // by worker
  std::unique_ptr<UnitFeed> feed_;

  // async_start.cpp
  void open_data();
  void build_graphs();
  void make_faults();
  void build_lanes();
  std::unique_ptr<Lane> make_lane();
  void make_record();
  void introduce();
  void resume();
  void start_servers();
  void start_workers();
  std::unique_ptr<UnitFeed> make_feed() const;
  double rate_at_unit(std::int64_t unit) const;
  std::int64_t total_units() const { return spec_.last_step * spec_.virtual_workers; }

  // async_trainer.cpp
  bool exchange();
  void take(int from, Frame frame);
  void carry_outgoing();
  void beat();
  void look_for_deaths();
  void lose(const Liveness::Death& death);
  void execute(const Order& order);
  void tell(const Order& order);
  void close();

  // coordinate.cpp: rank 0
  bool coordinate();
  void take_request(const Frame& frame);
  void carry_out(Decision decision);
  void answer(int worker, const Decision& decision);
  void apply(const Decision& decision);
  void fail_for(const Push& push);
  void drop(const Decision& decision);
  void check_due(const Decision& decision);
  void order_snapshot(const Due& due);
  void take_state(int server, const Payload& payload);
  std::map<std::string, std::string> mode_state() const;
  void say_end();
  std::string name_of_worker(int worker) const;
  std::string staleness_line(int worker, const RunBook::Histogram& histogram) const;
  void log_staleness();

  // replay.cpp: a world of one
  bool replays() const { return !config_.get<std::filesystem::path>("replay").empty(); }
  int replay();
  Decision repeat(const LogEntry& entry);
  Push repeat(const LoggedPush& logged, std::int64_t version);
  Lane& lane_of(int worker);
};

/// Whether the others live on where a rank dies: not under mpirun without --enable-recovery.
bool ranks_may_die();

/// The run record's entries of the mode; none where every step is a round of all micro-batches, which has the bits of mode sync.
void record_async(const AsyncOptions& options, RunRecord& record);
/// The options of the update program where each push is an update: averages begin after as many epochs.
OptimizerOptions optimizer_of_pushes(const RunSpec& spec, const AsyncOptions& options);

/// The state of a mode that a checkpoint keeps, of an asynchronous run.
struct AsyncMarks {
  std::int64_t version = 0, watermark = 0, entries = 0;
  std::vector<std::int64_t> above;
  std::map<int, std::int64_t> clocks;
};
std::map<std::string, std::string> encode_marks(const AsyncMarks& marks);
/// DataError naming the file.
AsyncMarks decode_marks(const std::map<std::string, std::string>& mode, const std::string& file);

}  // namespace convoy
