#include "launch/check_optimizer.h"

#include <fmt/format.h>

#include <string>

#include "core/tensor/error.h"
#include "launch/layer_options.h"
#include "launch/option_uses.h"

namespace convoy {

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
  if (config.get<std::string>("init-from").empty() && is_set(config, "init-from-layers"))
    throw UsageError(fmt::format("init-from-layers = {} says what of --init-from is taken, but that names no checkpoint",
                                 config.get<std::string>("init-from-layers")));
}

}  // namespace convoy
