#pragma once
// What the options say of an asynchronous run.
#include "launch/config.h"

namespace convoy {

/// Options of an asynchronous run, or of a synchronous one with backup workers, which are the same machine.
struct AsyncOptions {
  bool colocated = true;
  int servers = 0;                 // where not colocated
  int fetch_every = 1, push_every = 1;
  std::int64_t max_gap = -1;       // -1: none
  int backup = 0;
  bool ahead = true;
  bool scales_by_staleness = false;
  double compensation = 0;
  bool rounds() const { return max_gap == 0; }
};
/// Whether --mode, or --backup-workers, asks for parameter servers.
bool is_async(const Config& config);
/// Throws UsageError for what does not go together.
AsyncOptions async_options(const Config& config);
/// Throws UsageError also for what an asynchronous run cannot do, and for options that only it takes where the run is none.
void check_async(const Config& config);

}  // namespace convoy
