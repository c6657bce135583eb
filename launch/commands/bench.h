#pragma once
// The actions of convoy bench: one file each.
#include "launch/commands/commands.h"

namespace convoy {

Action bench_step_action();
Action bench_ops_action();
Action bench_loader_action();
Action bench_reduce_action();
Action bench_push_pull_action();
Action bench_checkpoint_action();

}  // namespace convoy
