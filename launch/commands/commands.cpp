#include "launch/commands/commands.h"

namespace convoy {

const std::vector<Command>& commands() {
  static const std::vector<Command> table = {version_command()};
  return table;
}

}  // namespace convoy
