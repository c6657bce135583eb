#include "launch/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <string>

#include "core/models/registry.h"
#include "core/tensor/error.h"
#include "launch/chaos/inject_spec.h"
#include "launch/check_mode.h"
#include "launch/check_optimizer.h"
#include "launch/data_options.h"
#include "launch/ensemble_options.h"
#include "launch/mistakes.h"
#include "launch/options.h"
#include "launch/options_table.h"
#include "launch/suggest.h"
#include "launch/train/async/async_options.h"

namespace convoy {
namespace {

void check_batch(const Config& config) {
  const auto batch = config.get<std::int64_t>("train.batch");
  const auto workers = config.get<std::int64_t>("virtual-workers");
  if (batch % workers == 0) return;
  const std::int64_t below = batch / workers * workers, above = below + workers;
  std::int64_t fewer = std::min(workers, batch), more = workers;
  while (batch % fewer != 0) --fewer;
  while (more < batch && batch % more != 0) ++more;
  throw UsageError(
      fmt::format("train.batch = {} cannot be cut into virtual-workers = {} equal micro-batches; the nearest "
                  "legal values are "
                  "train.batch = {}{} or virtual-workers = {}{}",
                  batch, workers, below > 0 ? fmt::format("{} or ", below) : "", above, fewer,
                  more <= batch && more != fewer ? fmt::format(" or {}", more) : ""));
}

void check_schedule(const Config& config) {
  const auto schedule = config.get<std::string>("optim.schedule");
  const auto every = config.get<std::int64_t>("optim.step-epochs");
  const auto milestones = config.get<std::vector<std::int64_t>>("optim.milestones");
  if (schedule != "step" && (every != 0 || !milestones.empty())) {
    throw UsageError(fmt::format(
        "optim.step-epochs and optim.milestones belong to optim.schedule = step, but it is {}", schedule));
  }
  if (schedule == "step" && (every != 0) == !milestones.empty()) {
    throw UsageError("optim.schedule = step needs either optim.step-epochs or optim.milestones, and not both");
  }
  if (std::adjacent_find(milestones.begin(), milestones.end(), std::greater_equal<>()) != milestones.end()) {
    throw UsageError(fmt::format("optim.milestones = {}: expected epochs that rise",
                                 config.get<std::string>("optim.milestones")));
  }
  const auto epochs = config.get<double>("train.epochs");
  if (config.get<double>("optim.warmup-epochs") > epochs) {
    throw UsageError(fmt::format("optim.warmup-epochs = {} is longer than train.epochs = {}",
                                 config.get<std::string>("optim.warmup-epochs"), epochs));
  }
  if (config.get<bool>("optim.nesterov") && config.get<double>("optim.momentum") == 0) {
    throw UsageError("optim.nesterov = yes needs optim.momentum above 0");
  }
}

void check_reduction(const Config& config) {
  if (config.get<std::string>("reduction") != "fast" || config.get<std::string>("reduction-dtype") == "fp32") return;
  throw UsageError(fmt::format("reduction-dtype = {} rounds every sum of the fixed tree, but reduction = fast leaves the sums to "
                               "the library: give up one of the two",
                               config.get<std::string>("reduction-dtype")));
}

/// "full-v1", or "blocks-v1:K" with K >= 1.
bool is_order(const std::string& order) {
  constexpr std::string_view blocks = "blocks-v1:";
  if (order == "full-v1") return true;
  if (!order.starts_with(blocks)) return false;
  std::int64_t size = 0;
  const char* const end = order.data() + order.size();
  const auto [rest, error] = std::from_chars(order.data() + blocks.size(), end, size);
  return error == std::errc{} && rest == end && size >= 1;
}

void check_data(const Config& config) {
  const bool assumed = find_option(config.command(), "samples") && config.get<std::int64_t>("samples") > 0;  // plan
  if (config.get<std::string>("data.path").empty() && !assumed) {
    throw UsageError(
        "data.path is missing: name the folder of shards (convoy data import makes one), or a foreign "
        "HDF5 file together with data.images and data.labels");
  }
  if (config.get<std::string>("data.images").empty() != config.get<std::string>("data.labels").empty()) {
    throw UsageError(
        "data.images and data.labels name the datasets of a foreign HDF5 file together; only one is given");
  }
  const auto order = config.get<std::string>("data.order");
  if (!is_order(order)) {
    throw UsageError(
        fmt::format("data.order = '{}': expected full-v1, or blocks-v1:K with K of at least 1", order));
  }
  if (config.get<std::vector<std::int64_t>>("data.crop").size() > 3 ||
      config.get<std::vector<std::int64_t>>("data.pad").size() > 3) {
    throw UsageError("data.crop and data.pad take one number, or one per axis, at most three");
  }
}

/// find_model lists all names; here the user hears where the wrong one stands, and what it may have been meant to be.
void check_model_name(const Config& config) {
  const auto name = config.get<std::string>("model.name");
  try {
    find_model(name);
  } catch (const UsageError& unknown) {
    std::vector<std::string> names;
    for (const ModelEntry& model : models()) names.emplace_back(model.name);
    const std::string meant = did_you_mean(name, names);
    if (meant.empty()) throw UsageError(fmt::format("{}: model.name: {}", config.origin("model.name"), unknown.what()));
    throw UsageError(fmt::format("{}: model.name: there is no model '{}'{} (convoy model list names all)",
                                 config.origin("model.name"), name, meant));
  }
}

void check_model(const Config& config) {
  const auto name = config.get<std::string>("model.name");
  if (name.empty()) throw UsageError("model.name is missing; convoy model list names all");
  check_model_name(config);
  complete_options(find_model(name), model_options_of(config));
}

void check_inject(const Config& config) { parse_inject(config.get<std::string>("inject")); }

void check_run_name(const Config& config) {
  if (config.get<std::string>("run").find('/') != std::string::npos) {
    throw UsageError(fmt::format("run = '{}' is a name, not a path; --runs=DIR says where runs lie",
                                 config.get<std::string>("run")));
  }
}

}  // namespace

std::map<std::string, std::string> model_options_of(const Config& config) {
  std::map<std::string, std::string> options;
  for (const OptionSpec& own : own_model_options()) {
    const auto value = config.get<std::string>(own.name);
    if (!value.empty()) options.emplace(own.name.substr(own.name.find('.') + 1), value);
  }
  return options;
}

void check_run(const Config& config) {
  Mistakes mistakes;
  for (const auto check : {check_model, check_data, check_view_options, check_batch, check_schedule, check_optimizer, check_fine_tuning, check_reduction, check_mode, check_async, check_inject, check_run_name})
    mistakes.attempt([&] { check(config); });
  mistakes.tell();
  check_ensemble(config, check_run);
}

}  // namespace convoy
