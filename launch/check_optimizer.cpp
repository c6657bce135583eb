#include "launch/check_optimizer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/tensor/error.h"
#include "launch/layer_options.h"
#include "launch/options.h"

namespace convoy {
namespace {

/// Whether it has another value than it would have had.
bool differs(const Config& config, const char* option) {
  const std::string standard = find_option(config.command(), option)->value;
  return config.get<std::string>(option) != standard;
}

struct Use {
  const char* option;
  std::vector<std::string> values;  // of the option that decides
};

/// Options that have their standard values wherever the deciding option has another value than those.
void check_uses(const Config& config, const char* deciding, const std::vector<Use>& uses) {
  const auto chosen = config.get<std::string>(deciding);
  for (const Use& use : uses) {
    if (!differs(config, use.option) || std::find(use.values.begin(), use.values.end(), chosen) != use.values.end()) continue;
    throw UsageError(fmt::format("{} = {} belongs to {} = {}, but that is {}", use.option, config.get<std::string>(use.option),
                                 deciding, fmt::join(use.values, " or "), chosen));
  }
}

}  // namespace

void check_optimizer(const Config& config) {
  check_uses(config, "optim.name", {{"optim.momentum", {"sgd", "rmsprop", "lars"}},
                                    {"optim.nesterov", {"sgd"}},
                                    {"optim.beta1", {"adam", "adamw"}},
                                    {"optim.beta2", {"adam", "adamw"}},
                                    {"optim.rho", {"rmsprop"}},
                                    {"optim.epsilon", {"rmsprop", "adam", "adamw", "adagrad"}},
                                    {"optim.trust", {"lars"}},
                                    {"optim.clip-value", {"sgd", "rmsprop", "adam", "adamw", "adagrad"}}});
  check_uses(config, "optim.average", {{"optim.average-decay", {"ema"}}, {"optim.average-from", {"polyak"}}});
  if (config.get<double>("optim.clip-norm") > 0 && config.get<double>("optim.clip-value") > 0)
    throw UsageError("optim.clip-norm and optim.clip-value clip the same gradients in two ways; give one of them");
  if (config.get<double>("optim.average-from") >= config.get<double>("train.epochs"))
    throw UsageError(fmt::format("optim.average-from = {} leaves nothing of train.epochs = {} to average",
                                 config.get<std::string>("optim.average-from"), config.get<std::string>("train.epochs")));
  if (config.get<std::string>("optim.warmup") == "constant" &&
      (config.get<double>("optim.warmup-epochs") == 0 || config.get<double>("optim.warmup-start") == 0))
    throw UsageError("optim.warmup = constant needs optim.warmup-epochs, its length, and optim.warmup-start, its share of the "
                     "rate, both above 0");
}

void check_fine_tuning(const Config& config) {
  check_rate_factors(config);
  read_initializers(config);
  layer_patterns(config, "freeze");
  layer_patterns(config, "init-from-layers");
  if (config.get<std::string>("init-from").empty() && differs(config, "init-from-layers"))
    throw UsageError(fmt::format("init-from-layers = {} says what of --init-from is taken, but that names no checkpoint",
                                 config.get<std::string>("init-from-layers")));
}

}  // namespace convoy
