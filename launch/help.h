#pragma once
// The pages of --help, from the tables of commands and options.
#include <string>

#include "launch/commands/commands.h"

namespace convoy {

/// convoy --help
std::string overview();
/// convoy data --help
std::string help_of(const Command& command);
/// convoy data import --help
std::string help_of(const Action& action);

}  // namespace convoy
