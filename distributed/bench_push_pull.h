#pragma once
// How long a push and a pull take against parameter servers, beside plain messages and beside memory.
#include "distributed/bench_reduce.h"

namespace convoy {

struct BenchPushPullOptions {
  std::int64_t elements = 25'000'000;  // floats of the parameters
  int servers = 1;                     // the first ranks; below the number of ranks
  int repetitions = 7;                 // measured, after one to warm up
};

/// Collective; ways alternate in each repetition. In this order: "push and pull" (every worker at once pushes all its gradient, in
/// a slice to each server, which applies it by momentum SGD and sends its slice of the parameters back), "push and pull, no
/// update" (the server only answers), "messages" (MPI's own, of the same sizes and between the same ranks, without frames), and
/// "memory copy" (every rank copies as many floats twice). Gigabytes are those that one worker pushes and pulls. Parameters are
/// checked to be exact. UsageError for servers < 1 or no worker.
std::vector<BenchReduceResult> bench_push_pull(Communicator& communicator, const BenchPushPullOptions& options);

}  // namespace convoy
