#include "launch/commands/commands.h"

namespace convoy {

const std::vector<Command>& commands() {
  static const std::vector<Command> table = {train_command(), evaluate_command(), predict_command(),
                                             data_command(), model_command(), plan_command(), checkpoint_command(),
                                             doctor_command(), bench_command(), version_command()};
  return table;
}

}  // namespace convoy
