// convoy bench: measures the parts that decide how fast a run is.
#include "launch/commands/bench.h"

namespace convoy {

Command bench_command() {
  return {"bench",
          "measure a training step and its ops, the loader, the reduction, parameter servers and checkpoints, each beside a yardstick",
          {bench_step_action(), bench_ops_action(), bench_loader_action(), bench_reduce_action(), bench_push_pull_action(), bench_checkpoint_action()}};
}

}  // namespace convoy
