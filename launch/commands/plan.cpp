// convoy plan: what a run will take, before it runs; and what one took.
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/graph/program_text.h"
#include "core/tensor/error.h"
#include "launch/check.h"
#include "launch/commands/commands.h"
#include "launch/ensemble_options.h"
#include "launch/errors.h"
#include "launch/plan/compare.h"
#include "launch/plan/probe.h"
#include "launch/plan/report.h"

namespace convoy {
namespace {

bool is_json(const Config& config) { return config.get<std::string>("format") == "json"; }

void write_cluster(const Cluster& cluster, const std::filesystem::path& file, const Config& config, const World& world, int ranks) {
  std::ofstream stream(file);
  stream << cluster_text(cluster, fmt::format("Measured by convoy plan --probe with {} on {} rank{} of {}. SI units.",
                                              config.get<std::string>("model.name"), ranks, ranks == 1 ? "" : "s", world.host()));
  stream.close();
  if (!stream) throw LibraryError(fmt::format("--cluster={}: the file could not be written", file.string()));
  fmt::print(stderr, "[plan] measured this machine; wrote {}\n", file.string());
}

/// What --probe and --cluster say; none without either. Collective with --probe.
std::optional<Cluster> cluster_of(const Config& config, World& world, const Dataset* data) {
  const auto file = config.get<std::filesystem::path>("cluster");
  if (!config.get<bool>("probe")) {
    if (file.empty()) return std::nullopt;
    return read_cluster(file);
  }
  Cluster measured = probe(config, world, *data);
  if (!file.empty() && world.rank() == 0) write_cluster(measured, file, config, world, world.size());
  return measured;
}

/// Of the run; of an ensemble, those of one member's team (train/ensemble.h).
int ranks_of_model(const Config& config, std::int64_t ranks) {
  const int all = static_cast<int>(ranks);
  if (config.get<std::string>("mode") != "ensemble") return all;
  const int teams = std::min(all, config.get<int>("members"));
  return (all + teams - 1) / teams;
}

void print_plans(const Config& config, const Planner& planner, const Cluster* cluster) {
  std::vector<RankPlan> plans;
  for (std::int64_t ranks : config.get<std::vector<std::int64_t>>("ranks")) plans.push_back(planner.plan(ranks_of_model(config, ranks)));
  if (!is_json(config) && config.get<std::string>("mode") == "ensemble")
    fmt::print("member 1 of {}, on the ranks of its team\n", config.get<int>("members"));
  if (!is_json(config) && config.get<std::string>("mode") == "async")
    fmt::print("memory: of a rank of mode sync; a worker of mode async also keeps its own parameters and two pushes\n");
  if (!is_json(config)) {
    fmt::print("{}", plan_text(planner, plans, config, cluster));
    if (config.get<bool>("programs"))
      fmt::print("\nMicro-batch program\n{}\nUpdate program\n{}", program_text(planner.micro_batch_program()),
                 program_text(planner.update_program()));
    return;
  }
  nlohmann::ordered_json report = plan_json(planner, plans, config);
  if (config.get<bool>("programs"))
    report["programs"] = {{"micro_batch", program_json(planner.micro_batch_program())},
                          {"update", program_json(planner.update_program())}};
  fmt::print("{}\n", report.dump(2));
}

int compare_run(const Config& config) {
  const auto run = config.get<std::filesystem::path>("compare");
  const Cluster cluster = read_cluster(config.get<std::filesystem::path>("cluster"));
  const ActualRun actual = read_actual_run(run);
  const Config of_run = config_of_run(run);
  const auto data = open_dataset(dataset_options(of_run, Split::train));
  const Planner planner(of_run, data->info(), &cluster);
  const RankPlan plan = planner.plan(actual.ranks);
  const std::vector<ComparedRow> rows = compare(plan, planner.memory_of(0, plan), actual);
  if (is_json(config))
    fmt::print("{}\n", compared_json(rows, actual).dump(2));
  else
    fmt::print("{}", compared_text(rows, actual));
  return kDone;
}

int plan(const Config& config, World& world) {
  if (!config.get<std::string>("compare").empty()) return world.rank() == 0 ? compare_run(config) : kDone;
  if (world.rank() != 0 && !config.get<bool>("probe")) return kDone;
  std::unique_ptr<Dataset> data;
  const std::vector<Member> members = config.get<std::string>("mode") == "ensemble" ? members_of(config) : std::vector<Member>{};
  const Config& model = members.empty() ? config : members.front().config;
  if (config.get<std::int64_t>("samples") == 0) data = open_dataset(dataset_options(model, Split::train));
  const std::optional<Cluster> cluster = cluster_of(model, world, data.get());
  if (world.rank() == 0)
    print_plans(config, Planner(model, data ? data->info() : assumed_data(model), cluster ? &*cluster : nullptr),
                cluster ? &*cluster : nullptr);
  return kDone;
}

void check(const Config& config) {
  const bool compares = !config.get<std::string>("compare").empty(), probes = config.get<bool>("probe");
  if (compares && config.get<std::string>("cluster").empty())
    throw UsageError("--compare needs --cluster=FILE, what the run was on; convoy plan --probe --cluster=FILE measures this machine");
  if (compares && probes) throw UsageError("--compare reads a run, --probe measures: give one of them");
  if (compares) return;  // the run's own config is read
  check_run(config);
  if (probes && config.get<std::int64_t>("samples") > 0)
    throw UsageError("--probe trains on the run's data for some seconds: leave --samples away and give --data.path");
  if (config.get<std::int64_t>("samples") == 0 && !config.get<std::string>("image").empty())
    throw UsageError("--image is for a plan without data: give --samples with it");
  if (config.get<std::vector<std::int64_t>>("ranks").empty()) throw UsageError("--ranks is empty: expected one number or more");
}

}  // namespace

Command plan_command() {
  return {"plan",
          "say what a run will take, before it runs",
          {{.path = "plan",
            .summary = "say what a run will take, before it runs",
            .usage = "plan --config=FILE [--ranks=N[,N...]] [--cluster=FILE] [--probe] [--compare=RUN] [--programs]",
            .description =
                "Builds the two programs of a run without running them and prints the memory that one rank takes, by purpose. "
                "--programs prints every op of both programs with its kernel, the place of its results in the arena and the "
                "steps between which they live. Of an ensemble it is the first member.\n\n"
                "With --cluster=FILE (nodes, links, rates, failures; experiments/scaling/clusters has examples, and "
                "experiments/scaling/README.md says what each key means) steps are simulated event by event: the messages that "
                "the exchanges send for the run's own buckets, while backward still computes. Rows: sync (what convoy does), sync "
                "fast (--reduction=fast, a ring), sync hierarchical (inside the nodes first; for comparison, convoy does not do "
                "it), local (steps without communication, then an average), async (parameter servers). Efficiency is the rate over "
                "that of the same ranks without communication and waiting. Then the bucket size that is best, and the interval "
                "between checkpoints (Daly 2006) where the file tells of storage and failures.\n\n"
                "--probe measures this machine for some seconds with the run's own network and data; under mpirun -n N it also "
                "measures what lies between the ranks. With --cluster=FILE the result is written there. --compare=RUN sets what "
                "a finished run's steps and memory took beside the prediction.\n\n"
                "--samples=N plans without data; --batch-per-rank=B lets the batch grow with the ranks.",
            .examples = "convoy plan --config=experiments/lenet/fashion-mnist.cfg --ranks=4\n"
                        "mpirun -n 2 convoy plan --config=experiments/resnet/fashion-mnist.cfg --probe --cluster=here.cfg --ranks=2\n"
                        "convoy plan --cluster=here.cfg --compare=runs/resnet-20-fashion-mnist\n"
                        "convoy plan --model.name=resnet-50 --samples=1281167 --batch-per-rank=32 --ranks=8,64,512,4096 "
                        "--cluster=experiments/scaling/clusters/h100-ndr.cfg",
            .check = check,
            .run_on_ranks = plan}}};
}

}  // namespace convoy
