#pragma once
// convoy checkpoint import and export: networks from and to other programs.
#include "launch/commands/commands.h"

namespace convoy {

Action checkpoint_import_action();
Action checkpoint_export_action();

}  // namespace convoy
