#pragma once
// The subcommands: one file each, one function each, one table (commands.cpp).
#include <functional>
#include <string>
#include <vector>

#include "distributed/world.h"
#include "launch/config.h"

namespace convoy {

/// What `convoy data import` does, or `convoy train`.
struct Action {
  std::string path = {};         // "data import", "train": as in the option table
  std::string summary = {};      // one line, for lists
  std::string usage = {};        // after "convoy ": "data import --from=FORM --input=DIR --output=DIR"
  std::string description = {};  // paragraphs, a blank line between two; --help wraps them
  std::string examples = {};     // lines to paste
  std::string positional = {};   // the option that takes words without --name; "": none
  /// What single options cannot say; runs once, before anything starts. Throws UsageError.
  std::function<void(const Config&)> check = {};
  /// Exactly one of the two. Returns the exit status; throws the errors of core/tensor/error.h.
  std::function<int(const Config&)> run = {};
  std::function<int(const Config&, World&)> run_on_ranks = {};  // starts MPI first
};

/// A first word, with its actions. A command of one action whose path is its name takes no second word.
struct Command {
  std::string name, summary;
  std::vector<Action> actions;
};

/// All subcommands, in the order of `convoy --help`.
const std::vector<Command>& commands();

Command train_command();
Command evaluate_command();
Command predict_command();
Command data_command();
Command model_command();
Command plan_command();
Command checkpoint_command();
Command doctor_command();
Command bench_command();
Command version_command();

}  // namespace convoy
