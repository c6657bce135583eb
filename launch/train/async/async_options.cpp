#include "launch/train/async/async_options.h"

#include <fmt/format.h>

#include <charconv>
#include <string>

#include "core/tensor/error.h"
#include "launch/option_uses.h"
#include "launch/options.h"

namespace convoy {
namespace {

/// A word that means `otherwise`, or a whole number of at least `least`.
std::int64_t number_or(const Config& config, const char* option, std::string_view word, std::int64_t otherwise, std::int64_t least) {
  const auto text = config.get<std::string>(option);
  if (text == word) return otherwise;
  std::int64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || rest != text.data() + text.size() || value < least || value > 1'000'000)
    throw UsageError(fmt::format("{} = {}: expected '{}', or a whole number of at least {}", option, text, word, least));
  return value;
}

}  // namespace

bool is_async(const Config& config) {
  return config.get<std::string>("mode") == "async" || config.get<int>("backup-workers") > 0;
}

AsyncOptions async_options(const Config& config) {
  AsyncOptions options;
  const std::int64_t servers = number_or(config, "servers", "colocated", 0, 1);
  options.colocated = servers == 0;
  options.servers = static_cast<int>(servers);
  options.fetch_every = config.get<int>("fetch-every");
  options.push_every = config.get<int>("push-every");
  options.max_gap = number_or(config, "max-clock-gap", "none", -1, 0);
  options.backup = config.get<int>("backup-workers");
  options.ahead = config.get<std::string>("pull") == "ahead";
  options.scales_by_staleness = config.get<std::string>("staleness-scaling") == "inverse";
  options.compensation = config.get<double>("delay-compensation");
  if (options.compensation > 0 && options.fetch_every > 1)
    throw UsageError("delay-compensation corrects by the parameters that a gradient was computed with, which with fetch-every above 1 "
                     "only the worker knows; give up one of the two");
  if (config.get<std::string>("mode") == "sync") options.max_gap = 0;  // with backup workers
  if (!options.rounds()) return options;
  options.ahead = false;  // nobody may take two micro-batches of a round while another has none
  const auto refuse = [](const char* option, const std::string& value, const char* why) {
    throw UsageError(fmt::format("{} = {} has no meaning in rounds (max-clock-gap = 0, backup workers): {}", option, value, why));
  };
  if (options.fetch_every > 1) refuse("fetch-every", config.get<std::string>("fetch-every"), "every micro-batch of a step has the same parameters");
  if (options.push_every > 1) refuse("push-every", config.get<std::string>("push-every"), "every micro-batch is a leaf of the sum");
  if (options.scales_by_staleness) refuse("staleness-scaling", "inverse", "no gradient is stale");
  if (options.compensation > 0) refuse("delay-compensation", config.get<std::string>("delay-compensation"), "no gradient is stale");
  return options;
}

namespace {

/// An option, and what of it an asynchronous run cannot do.
struct Impossible {
  const char* option;
  const char* value;
  const char* why;
};
constexpr Impossible kImpossible[] = {
    {"optim.name", "lars", "its rates need the norms of whole layers, and servers own slices"},
    {"reduction", "fast", "there is no all-reduce"},
    {"reduction-dtype", "bf16", "there is no all-reduce: pushes travel in fp32"},
    {"precision", "fp16", "the loss scale follows the gradients of whole batches; bf16 needs none"},
    {"on-nan", "rewind", "workers are at different places; say stop or skip"},
    {"on-audit", "repair", "parameters are kept once, so that there are no copies to compare"}};

}  // namespace

void check_async(const Config& config) {
  if (config.get<std::string>("mode") == "ensemble") return;  // its members' configs are looked at
  if (!is_async(config)) {
    for (const char* option : {"servers", "fetch-every", "push-every", "pull", "max-clock-gap", "staleness-scaling", "delay-compensation"})
      if (is_set(config, option) && !(config.command() == "plan" && option == std::string_view("servers")))  // of its forecast
        throw UsageError(fmt::format("{} = {} belongs to mode = async, but mode = {}", option, config.get<std::string>(option),
                                     config.get<std::string>("mode")));
    if (find_option(config.command(), "replay") && is_set(config, "replay"))
      throw UsageError("--replay repeats an asynchronous run; give its options too: --mode=async ...");
    return;
  }
  const AsyncOptions options = async_options(config);
  if (options.backup > 0 && config.get<std::string>("mode") != "sync")
    throw UsageError(fmt::format("backup-workers = {} belongs to mode = sync: asynchronous workers wait for nobody", options.backup));
  if (options.backup > 0)
    for (const char* option : {"fetch-every", "push-every", "pull", "max-clock-gap", "staleness-scaling", "delay-compensation"})
      if (is_set(config, option))
        throw UsageError(fmt::format("{} = {} belongs to mode = async, but backup workers are of mode sync", option,
                                     config.get<std::string>(option)));
  for (const Impossible& each : kImpossible)
    if (config.get<std::string>(each.option) == each.value)
      throw UsageError(fmt::format("{} = {} cannot be had with parameter servers: {}", each.option, each.value, each.why));
  if (config.get<double>("optim.clip-norm") > 0)
    throw UsageError("optim.clip-norm cannot be had with parameter servers: servers own slices, and nobody knows the whole norm; "
                     "optim.clip-value can");
  if (is_set(config, "train.audit-every") && config.get<std::int64_t>("train.audit-every") > 0)
    throw UsageError("train.audit-every: parameters are kept once, so that there are no copies to compare");
  if (options.rounds() && config.get<std::string>("on-nan") == "skip")
    throw UsageError("on-nan = skip leaves single pushes out, but rounds sum all micro-batches of a step (max-clock-gap = 0, backup "
                     "workers); say stop");
}

}  // namespace convoy
