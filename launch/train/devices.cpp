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

bool wants_tf32(const Config& config) {
  return find_option(config.command(), "precision") && config.get<std::string>("precision") == "tf32";
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

std::optional<CudaOptions> choose_device(const Config& config, const Seats& seats) {
  return choose_device(config, seats, may_want_gpu(config) ? find_cuda_devices() : CudaDevices{});
}

std::optional<CudaOptions> choose_device(const Config& config, const Seats& seats, const CudaDevices& found) {
  const bool tf32 = wants_tf32(config), speaks = seats.rank == 0;
  if (!may_want_gpu(config) || found.names.empty()) {
    if (config.get<std::string>("device") == "cuda")
      throw UsageError(fmt::format("--device=cuda: {}; --device=cpu computes without a GPU", found.why_none));
    if (tf32)
      throw UsageError(fmt::format("--precision=tf32 is a GPU's: {}", may_want_gpu(config) ? found.why_none : "it is --device=cpu"));
    if (may_want_gpu(config) && speaks) say(fmt::format("computing on the cpu: {}", found.why_none));
    return std::nullopt;
  }
  const bool share = find_option(config.command(), "share-gpu") && config.get<bool>("share-gpu");
  CudaOptions options{.tf32 = tf32, .plan_cache = cache_folder(), .tell = {}};
  if (!seats.all.empty()) options.ordinal = take_gpus(seats.all, share)[static_cast<std::size_t>(seats.rank)];
  if (speaks) options.tell = say;
  return options;
}

}  // namespace convoy
