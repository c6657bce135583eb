#pragma once
// Makes the faults of --inject happen (grammar: inject_spec.h). The training loop calls a hook at each place where a
// fault may strike; without --inject there is no Chaos, and nothing is called:  if (chaos_) chaos_->before_step(step).
//
// A clause that strikes once is written to RUNS/NAME/injected.log first, by the rank that it strikes, so that a restart
// with the same command line does not meet it again. Whatever happens is announced on stderr by that rank.
//
// Steps are those under way, counted from 1 as in all messages. Any hook may be called by any thread.
#include <atomic>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/trace/trace.h"
#include "distributed/communicator.h"
#include "launch/chaos/inject_spec.h"
#include "launch/train/model_state.h"

namespace convoy {

struct ChaosOptions {
  std::string spec;                   // --inject
  std::filesystem::path run_folder;   // RUNS/NAME, seen by every rank
  bool new_run = false;               // without --resume: an injected.log of an earlier run does not count
  InjectScene scene;                  // its `ranks` is taken from the communicator
};

class Chaos {
 public:
  /// `settled`: from settle_inject. Reads the log, unless the run is a `new_run`. Throws LibraryError where that cannot be
  /// read.
  Chaos(std::vector<InjectClause> settled, int rank, std::filesystem::path log, std::uint64_t seed, bool new_run = false);

  /// kill, stop. The main thread, before a step.
  void before_step(std::int64_t step);
  /// slow input. Every worker thread once a step, inside what is measured as the wait for its first batch.
  void before_input(std::int64_t step);
  /// slow compute. Every worker thread once a step, before its first micro-batch, inside what is measured as compute.
  void before_compute(std::int64_t step);
  /// hang, slow reduce. The communication thread, before each exchange (ReducerOptions::before_exchange).
  void before_reduction(std::int64_t step);
  /// Whether after_update(step) may flip a bit on any rank: the same on every rank, since none may then go ahead.
  bool flips_after(std::int64_t step) const;
  /// flip. The main thread, after the update of `step`.
  void after_update(std::int64_t step, ModelState& state);

  /// A save begins: enospc, eio: the errno that it is to fail with (CheckpointSaver::inject_write_error). Rank 0, when the
  /// write before is over; `saves_so_far`: of this life, whether or not they failed.
  std::optional<int> before_save(std::int64_t saves_so_far);
  /// slow checkpoint. The writer, at least once a save; the first call waits.
  void slow_save();
  /// kill@checkpoint. The writer as it goes (CheckpointSaver::observe_writes): `fraction` of the bytes are written; the
  /// last call, before the rename, says 1.
  void during_save(double fraction);

  /// nan: is this sample (id in the training split) to be NaN after `prepare`?
  bool poison(std::int64_t sample);
  /// Are there any such samples? Else poison() need not be called.
  bool poisons() const { return poisons_; }

  /// Clauses that struck in no life so far, for the run's end: as given.
  std::vector<std::string> not_struck() const;

 private:
  struct Armed {
    InjectClause clause;
    std::atomic<bool> done{false};  // struck, or (slow, nan) announced
  };
  std::deque<Armed> clauses_;       // of this rank, and nan
  std::vector<InjectClause> all_;   // of every rank
  int rank_;
  std::filesystem::path log_;
  std::uint64_t seed_;
  bool poisons_ = false;
  std::atomic<std::int64_t> step_{0}, save_{0};             // under way, from 1
  std::atomic<std::int64_t> reduced_step_{0}, slow_save_{0};  // the last that before_reduction, slow_save were called for

  bool strikes(Armed& armed, const std::string& what);
  void announce(const std::string& what) const;
  void delay(std::chrono::microseconds InjectClause::*part, trace::Activity activity, std::int64_t step);
  void flip_bit(Armed& armed, std::int64_t step, ModelState& state);
};

/// Collective. Null where --inject is empty. Throws AgreedError on every rank for a bad clause (status 2), or where the
/// run folder's log cannot be read.
std::unique_ptr<Chaos> make_chaos(Communicator& world, const ChaosOptions& options);

}  // namespace convoy
