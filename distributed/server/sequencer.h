#pragma once
// The order of an asynchronous run, and who does what next: what server 0 decides. A state machine without clock, memory of
// parameters or communication.
//
// Entries of the order are pulls and applications; a version is the number of applications before it. A push is applied only
// when all of its slices have arrived, so that what a dead worker has half sent is left out everywhere and its units go to
// others. In round mode (max_gap = 0) all V micro-batches of a step are applied at once, in the order of their units: the
// synchronous step. With backup workers a round hands out V + b micro-batches and is over with the first V.
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "distributed/server/push.h"
#include "distributed/server/units.h"

namespace convoy {

struct SequencerOptions {
  int servers = 1;
  int workers = 1;
  int virtual_workers = 1;         // V
  std::int64_t units = 0;          // of the run: V a step
  std::int64_t max_gap = -1;       // micro-batches that a worker may be ahead of the slowest; -1: any; 0: rounds
  int backup = 0;                  // b; rounds only
  bool skips = false;              // pushes that are not finite are dropped, and their units are done; no rounds
};

struct Decision {
  enum class Kind {
    pull,    // send the parameters, as they are at this place of the order, to `worker`
    go,      // `worker` begins `unit`; `expect`, if any, is likely to be its next
    flush,   // `worker` pushes what it has and asks again
    end,     // `worker` has no more to do
    apply,   // `pushes`, in this order, make one update
    drop     // `pushes` are too late, or not finite and to be skipped: forget them
  };
  Kind kind = Kind::go;
  int worker = -1;
  std::int64_t unit = -1;
  std::optional<std::int64_t> expect;
  bool pulls = false;              // go: the parameters come with it
  std::vector<Push> pushes;
  std::int64_t version = 0, version_after = 0;    // apply, drop: of the parameters before and after it
  std::vector<std::int64_t> left_out;  // apply, drop: units that nobody waits for any more
};

class Sequencer {
 public:
  explicit Sequencer(const SequencerOptions& options);
  /// Goes on from a checkpoint: finished units and the version.
  void restore(std::int64_t watermark, const std::vector<std::int64_t>& above, std::int64_t version);

  /// `computed`: micro-batches that the worker has done. `idle`: it has pushed all of them.
  void request(int worker, bool idle, bool pulls, std::int64_t computed);
  /// What a push is made of.
  void described(Push push);
  /// The slice of one server has arrived there.
  void arrived(int worker, std::int64_t sequence);
  /// It is dead: what it began goes to others.
  void lose(int worker);
  /// While it stands still, nobody begins and nothing is applied.
  void stand_still(bool still);

  /// What is to be done now, in this order.
  std::vector<Decision> decide();

  const Units& units() const { return units_; }
  std::int64_t version() const { return version_; }
  bool rounds() const { return options_.max_gap == 0; }
  bool is_over() const { return units_.all_finished(); }
  int alive() const;
  std::int64_t dropped_units() const { return dropped_units_; }

 private:
  struct Worker {
    bool alive = true, waits = false, idle = false, pulls = false;
    std::int64_t started = 0, computed = 0, pulled = 0;
    std::vector<std::int64_t> begun;            // units not applied yet
  };
  struct Arrival {
    int slices = 0;
    std::optional<Push> push;
  };
  Decision begin_decision(Decision::Kind kind) const;
  void end_decision(Decision& decision) const;
  static std::size_t at(int worker) { return static_cast<std::size_t>(worker); }
  void complete(const std::pair<int, std::int64_t>& key);
  bool may_begin(const Worker& worker) const;
  std::int64_t limit() const;
  void grant(std::vector<Decision>& decisions);
  bool grant(int id, std::vector<Decision>& decisions);
  void apply_complete(std::vector<Decision>& decisions);
  void apply_round(std::vector<Decision>& decisions);
  void leave_rest_out(std::vector<Decision>& decisions);
  Decision apply(std::vector<Push> pushes);
  void finish(const Push& push);

  SequencerOptions options_;
  Units units_;
  std::int64_t version_ = 0;
  std::vector<Worker> workers_;
  std::deque<int> waiting_;                     // in the order in which they asked
  std::map<std::pair<int, std::int64_t>, Arrival> arriving_;
  std::deque<Push> complete_;                   // in the order in which they became so
  std::vector<Push> round_;                     // of the round under way
  std::int64_t round_end_ = 0;                  // its units are below
  bool still_ = false;
  std::int64_t dropped_units_ = 0;
};

}  // namespace convoy
