#include "launch/train/devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "launch/options.h"
#include "launch/printable.h"

namespace convoy {
namespace {

bool may_want_gpu(const Config& config) { return config.get<std::string>("device") != "cpu"; }

bool shares_gpu(const Config& config) { return find_option(config.command(), "share-gpu") && config.get<bool>("share-gpu"); }

/// Options that would do nothing without a GPU. `why`: there is none.
void refuse_options_for_gpus(const Config& config, const std::string& why) {
  if (shares_gpu(config)) throw UsageError(fmt::format("--share-gpu is for GPUs: {}; leave it away", why));
  if (find_option(config.command(), "distributed.transport") && config.get<std::string>("distributed.transport") == "nccl")
    throw UsageError(fmt::format("--distributed.transport=nccl is for GPUs: {}; leave it away, or say auto", why));
}

void say(const std::string& news) {
  fmt::print(stderr, "[device] {}\n", printable(news));
  std::fflush(stderr);
}

/// $CONVOY_CACHE, else the user's cache folder; empty where there is neither.
std::filesystem::path cache_folder() {
  const auto variable = [](const char* name) -> std::filesystem::path {
    const char* value = std::getenv(name);
    return value ? value : "";
  };
  if (const auto given = variable("CONVOY_CACHE"); !given.empty()) return given;
  if (const auto cache = variable("XDG_CACHE_HOME"); !cache.empty()) return cache / "convoy";
  if (const auto home = variable("HOME"); !home.empty()) return home / ".cache" / "convoy";
  return {};
}

}  // namespace

Seats find_seats(const Config& config, Communicator& all, const std::string& host) {
  const nlohmann::json mine = {host, may_want_gpu(config) ? find_cuda_devices().ids : std::vector<std::string>{}};
  Seats seats{{}, all.rank()};
  for (const std::string& text : all.all_gather_strings(mine.dump())) {
    const auto seat = nlohmann::json::parse(text);
    seats.all.push_back({seat[0], seat[1].get<std::vector<std::string>>()});
  }
  return seats;
}

std::vector<int> take_gpus(const std::vector<Seat>& seats, bool share) {
  std::map<std::pair<std::string, std::string>, int> taken;  // host, GPU
  std::vector<int> ordinals;
  for (const Seat& seat : seats) {
    int best = 0;
    const auto users = [&](int ordinal) -> int& { return taken[{seat.host, seat.gpus[static_cast<std::size_t>(ordinal)]}]; };
    for (int ordinal = 1; ordinal < static_cast<int>(seat.gpus.size()); ++ordinal)
      if (users(ordinal) < users(best)) best = ordinal;
    if (!seat.gpus.empty() && users(best)++ > 0 && !share) {
      const auto ranks = std::count_if(seats.begin(), seats.end(), [&](const Seat& s) { return s.host == seat.host; });
      throw UsageError(fmt::format("{} ranks on host {}, but {} GPU{} for them: start one rank for each GPU, or let ranks share "
                                   "with --share-gpu (slower)",
                                   ranks, seat.host, seat.gpus.size(), seat.gpus.size() == 1 ? "" : "s"));
    }
    ordinals.push_back(best);
  }
  return ordinals;
}

Computation computation_of(const Config& config) {
  if (!find_option(config.command(), "precision")) return {};
  return {.precision = config.get<std::string>("precision"), .of_trained_model = false};
}

std::optional<CudaOptions> choose_device(const Config& config, const Seats& seats, const Computation& computation) {
  return choose_device(config, seats, computation, may_want_gpu(config) ? find_cuda_devices() : CudaDevices{});
}

std::optional<CudaOptions> choose_device(const Config& config, const Seats& seats, const Computation& computation,
                                         const CudaDevices& found) {
  const bool tf32 = computation.precision == "tf32", speaks = seats.rank == 0;
  if (!may_want_gpu(config) || found.names.empty()) {
    const std::string why = may_want_gpu(config) ? found.why_none : "it is --device=cpu";
    if (config.get<std::string>("device") == "cuda")
      throw UsageError(fmt::format("--device=cuda: {}; --device=cpu computes without a GPU", why));
    if (tf32 && !computation.of_trained_model) throw UsageError(fmt::format("--precision=tf32 is a GPU's: {}", why));
    refuse_options_for_gpus(config, why);
    if (may_want_gpu(config) && speaks && (config.command() == "train" || found.half_there))
      say(fmt::format("computing on the cpu: {}", why));
    if (tf32 && speaks) say("the model was trained in tf32, which is a GPU's; the cpu computes it in fp32");
    return std::nullopt;
  }
  CudaOptions options{.tf32 = tf32, .plan_cache = cache_folder(), .tell = {}};
  if (!seats.all.empty()) options.ordinal = take_gpus(seats.all, shares_gpu(config))[static_cast<std::size_t>(seats.rank)];
  if (speaks) options.tell = say;
  return options;
}

}  // namespace convoy
