#pragma once
// What a run left behind, or shows while it runs: all that a verdict rests on (diagnose.h). Read from files alone, so it
// works on a login node.
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/ring_file.h"
#include "io/run_folder.h"
#include "io/run_lives.h"
#include "io/run_lock.h"

namespace convoy {

/// One start of the run: the newest (RUN, RUN/watch), or an earlier one (RUN/watch/life-0007).
struct LifeEvidence {
  LifeMark mark;                    // number 0: unknown
  std::optional<RunStatus> status;  // none: no status.json, or an unreadable one (a problem then)
  std::vector<RingReading> rings;   // in the order of their ranks
};

struct MetricsTail {
  std::int64_t step = 0;  // of the last record about training
  double loss = 0;
};

struct CheckpointEvidence {
  std::int64_t step = 0;
  bool looked_at = false;  // --verify
  bool good = false;       // if looked at
};

/// A model of an ensemble: RUN/members/01.
struct MemberEvidence {
  std::string name;                 // "01"
  std::optional<RunStatus> status;  // none: it has not ended, or was never begun
  std::int64_t newest_step = 0;     // of its checkpoints, not looked at; 0: none
};

struct RunEvidence {
  std::filesystem::path run;
  std::int64_t now_ns = 0;            // since 1970, by the reader's clock
  LockReading lock;
  LifeEvidence life;                  // the newest
  std::map<int, char> process_state;  // by rank, where the process is seen in /proc: 'T' stopped, 'R', 'S', 'D', 'Z'
  std::vector<CheckpointEvidence> checkpoints;  // newest first
  std::vector<MemberEvidence> members;          // of an ensemble, in their order
  std::optional<MetricsTail> metrics;
  std::vector<std::string> jobs;      // the last lines of lives.log, which the SLURM script writes
  bool has_config = false;            // config.cfg
  std::vector<LifeEvidence> earlier;  // oldest first
  std::vector<std::string> problems;  // files that cannot be read
};

/// Reads the folder of a run. `verify`: also every checkpoint from the newest to the first good one. Throws UsageError,
/// naming near runs, where there is no such folder or it is no run's.
RunEvidence gather_evidence(const std::filesystem::path& run, bool verify);

}  // namespace convoy
