#pragma once
// The parts of the option table. Rows of options.h's OptionSpec; option_table() joins them.
#include <string>
#include <vector>

#include "launch/options.h"

namespace convoy {

// Unsectioned options; they come first, because in a config file they must.
std::vector<OptionSpec> run_options();
std::vector<OptionSpec> tool_options();

// Sectioned options, a section in one piece.
std::vector<OptionSpec> train_options();
std::vector<OptionSpec> data_options();
std::vector<OptionSpec> model_options();
std::vector<OptionSpec> own_model_options();  // model.X that single models declare
std::vector<OptionSpec> optim_options();
std::vector<OptionSpec> seed_options();
std::vector<OptionSpec> checkpoint_options();
std::vector<OptionSpec> distributed_options();
std::vector<OptionSpec> device_options();

/// Words of `takers` made a list: rows name their commands as text, "train, plan".
std::vector<std::string> takers(const std::string& words);

// Who takes the options of a training run. `plan` reads the same config files.
inline constexpr const char* kRun = "train, plan";
// Who builds a model by name.
inline constexpr const char* kModel = "train, plan, model show, checkpoint import, bench step, bench ops";
// Who chooses the precision; evaluate and predict take the trained model's.
inline constexpr const char* kPrecision = "train, plan, bench step, bench ops";
// Who computes with a model.
inline constexpr const char* kCompute = "train, plan, evaluate, predict, bench step, bench ops";
// Who reads images, also of foreign HDF5 files.
inline constexpr const char* kRead = "train, plan, evaluate, data stats, bench loader";

}  // namespace convoy
