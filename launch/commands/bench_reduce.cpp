// convoy bench reduce: the gradient reduction beside MPI's own all-reduce.
#include "distributed/bench_reduce.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "distributed/bench_device_reduce.h"
#include "distributed/nccl_module.h"
#include "launch/commands/bench.h"
#include "launch/errors.h"
#include "launch/printable.h"
#include "launch/train/agreement.h"
#include "launch/train/devices.h"

namespace convoy {
namespace {

void print_text(const std::vector<BenchReduceResult>& results, const BenchReduceOptions& options, int ranks) {
  fmt::print("{} floats on {} rank{}, {} repetitions, alternating\n", options.elements, ranks,
             ranks == 1 ? "" : "s", options.repetitions);
  fmt::print("{:<24} {:>10} {:>10} {:>10} {:>8} {:>8}  {}\n", "", "median ms", "least ms", "most ms", "GB/s", "MB sent",
             "sums");
  for (const BenchReduceResult& result : results) {
    const std::string sent = result.sent_bytes > 0 ? fmt::format("{:.2f}", result.sent_bytes / 1e6) : "-";
    fmt::print("{:<24} {:>10.2f} {:>10.2f} {:>10.2f} {:>8.2f} {:>8}  {}\n", result.name, result.median_seconds * 1e3,
               result.least_seconds * 1e3, result.most_seconds * 1e3, result.gigabytes_per_second, sent,
               result.verified ? "exact" : "WRONG");
  }
}

void print_json(const std::vector<BenchReduceResult>& results, const BenchReduceOptions& options, int ranks) {
  nlohmann::ordered_json json = {{"elements", options.elements},
                                 {"bucket_elements", options.bucket_elements},
                                 {"ranks", ranks},
                                 {"repetitions", options.repetitions}};
  for (const BenchReduceResult& result : results) {
    json["results"].push_back({{"name", result.name},
                               {"median_seconds", result.median_seconds},
                               {"least_seconds", result.least_seconds},
                               {"most_seconds", result.most_seconds},
                               {"gigabytes_per_second", result.gigabytes_per_second},
                               {"sent_bytes", result.sent_bytes},
                               {"verified", result.verified}});
  }
  fmt::print("{}\n", json.dump(2));
}

std::vector<BenchReduceResult> run_on_devices(const Config& config, World& world, const BenchReduceOptions& options) {
  Communicator& all = world.all();
  const Seats seats = find_seats(config, all, world.host());
  std::unique_ptr<Backend> backend;
  agree(all, "the devices", [&] { backend = make_cuda_backend(*choose_device(config, seats, {})); });
  const bool one_host = std::all_of(seats.all.begin(), seats.all.end(),
                                    [&](const Seat& seat) { return seat.host == seats.all.front().host; });
  if (config.get<bool>("share-gpu")) let_ranks_share_a_device(world.rank(), one_host);
  std::string why_not;
  for (const std::string& reason : all.all_gather_strings(why_no_nccl()))
    if (why_not.empty()) why_not = reason;
  if (!why_not.empty()) {
    if (world.rank() == 0) fmt::print(stderr, "[bench] without NCCL: {}\n", printable(why_not));
    return bench_device_reduce(all, backend->device(), options, "", nullptr);
  }
  return bench_device_reduce(all, backend->device(), options, "ncclAllReduce",
                             [&] { return make_nccl_communicator(all, backend->device()); });
}

void check(const Config& config) {
  if (config.get<bool>("share-gpu") && config.get<std::string>("device") != "cuda")
    throw UsageError("--share-gpu is for GPUs: give --device=cuda with it, or leave it away");
}

int run(const Config& config, World& world) {
  BenchReduceOptions options;
  options.elements = config.get<std::int64_t>("elements");
  options.bucket_elements = config.get<std::int64_t>("distributed.bucket-bytes") / std::int64_t{sizeof(float)};
  options.repetitions = config.get<int>("repetitions");
  if (config.get<std::string>("reduction-dtype") == "bf16") options.rounding = SumRounding::bf16;
  const std::vector<BenchReduceResult> results = config.get<std::string>("device") == "cuda"
                                                     ? run_on_devices(config, world, options)
                                                     : bench_reduce(world.all(), options);
  if (world.rank() == 0) {
    (config.get<std::string>("format") == "json" ? print_json : print_text)(results, options, world.size());
  }
  for (const BenchReduceResult& result : results) {
    if (!result.verified) throw Error(fmt::format("{} did not give the exact sum", result.name));
  }
  return kDone;
}

}  // namespace

Action bench_reduce_action() {
  return {
      .path = "bench reduce",
      .summary = "the deterministic all-reduce beside MPI_Allreduce",
      .usage = "bench reduce [--elements=N] [--repetitions=N] [--reduction-dtype=bf16] [--device=cuda] (under mpirun)",
      .description =
          "Sums a gradient of N floats over all ranks: through convoy's fixed tree (deterministic; with\n"
          "--reduction-dtype=bf16 also with sums rounded to bf16, which takes half the bytes), through\n"
          "--reduction=fast, and by MPI_Allreduce alone. The ways alternate in each repetition; the time is\n"
          "from a barrier until the last rank has the whole sum, GB/s is the f32 gradient's bytes over the\n"
          "median, and MB sent is what the rank that sends most sends in a repetition. Inputs are small\n"
          "integers, so every sum is checked to be exact.\n"
          "With --device=cuda the gradient is in GPUs' memory: summed through the tree by NCCL's messages and\n"
          "through the hosts, beside one ncclAllReduce of all of it.",
      .examples =
          "mpirun -n 2 convoy bench reduce\n"
          "mpirun -n 4 convoy bench reduce --elements=1000000 --format=json\n"
          "mpirun -n 8 convoy bench reduce --device=cuda --reduction-dtype=bf16",
      .check = check,
      .run_on_ranks = run};
}

}  // namespace convoy
