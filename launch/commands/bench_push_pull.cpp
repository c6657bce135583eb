// convoy bench push-pull: parameter servers beside plain messages and memory.
#include "distributed/bench_push_pull.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "launch/commands/bench.h"
#include "launch/errors.h"

namespace convoy {
namespace {

int run(const Config& config, World& world) {
  const BenchPushPullOptions options{.elements = config.get<std::int64_t>("elements"),
                                     .servers = config.get<int>("servers"),
                                     .repetitions = config.get<int>("repetitions")};
  const std::vector<BenchReduceResult> results = bench_push_pull(world.all(), options);
  const int workers = world.size() - options.servers;
  if (world.rank() == 0 && config.get<std::string>("format") == "json") {
    nlohmann::ordered_json json{{"elements", options.elements}, {"servers", options.servers}, {"workers", workers},
                                {"repetitions", options.repetitions}};
    for (const BenchReduceResult& result : results)
      json["results"].push_back({{"name", result.name}, {"median_seconds", result.median_seconds},
                                 {"least_seconds", result.least_seconds}, {"most_seconds", result.most_seconds},
                                 {"gigabytes_per_second", result.gigabytes_per_second}, {"verified", result.verified}});
    fmt::print("{}\n", json.dump(2));
  } else if (world.rank() == 0) {
    fmt::print("{} floats, {} server{}, {} worker{} at once, {} repetitions, alternating\n", options.elements, options.servers,
               options.servers == 1 ? "" : "s", workers, workers == 1 ? "" : "s", options.repetitions);
    fmt::print("{:<26} {:>10} {:>10} {:>10} {:>8}  {}\n", "", "median ms", "least ms", "most ms", "GB/s", "values");
    for (const BenchReduceResult& result : results)
      fmt::print("{:<26} {:>10.2f} {:>10.2f} {:>10.2f} {:>8.2f}  {}\n", result.name, result.median_seconds * 1e3,
                 result.least_seconds * 1e3, result.most_seconds * 1e3, result.gigabytes_per_second,
                 result.verified ? "right" : "WRONG");
  }
  for (const BenchReduceResult& result : results)
    if (!result.verified) throw Error(fmt::format("{} did not give the right values", result.name));
  return kDone;
}

}  // namespace

Action bench_push_pull_action() {
  return {.path = "bench push-pull",
          .summary = "parameter servers beside plain messages and memory",
          .usage = "bench push-pull [--elements=N] [--servers=S] [--repetitions=N] (under mpirun)",
          .description =
              "The first S ranks are servers, the others workers, who all at once push a gradient of N floats, a slice to each\n"
              "server, and pull the parameters after their update by momentum SGD. Beside it: the same without the update, MPI's\n"
              "messages of the same sizes between the same ranks, and a copy in memory of as many floats. The time is until the last\n"
              "rank is done; GB/s is what one worker pushes and pulls, over the median.",
          .examples = "mpirun -n 2 convoy bench push-pull\n"
                      "mpirun -n 6 convoy bench push-pull --servers=2 --elements=1000000 --format=json",
          .run_on_ranks = run};
}

}  // namespace convoy
