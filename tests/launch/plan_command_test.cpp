// convoy plan as a user runs it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "launch/expect_message.h"
#include "launch/small_run.h"

namespace convoy {
namespace {

using nlohmann::json;

std::string cluster_path(const std::string& name) {
  return std::string(CONVOY_SOURCE) + "/experiments/scaling/clusters/" + name + ".cfg";
}

std::string without_data(const std::string& model) { return "plan --model.name=" + model + " --samples=1281167 "; }

json json_of(const Outcome& outcome) {
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return outcome.status == 0 ? json::parse(outcome.out) : json();
}

json mode_of(const json& plan, const std::string& name) {
  for (const json& mode : plan["modes"])
    if (mode["mode"] == name) return mode;
  ADD_FAILURE() << "no mode " << name;
  return {};
}

TEST(PlanCommand, SaysTimeTrafficAndEfficiencyOnACluster) {
  const Outcome text = convoy_with(without_data("resnet-18") + "--batch-per-rank=8 --ranks=16 --servers=2 --cluster=" + cluster_path("h100-ndr"));
  EXPECT_EQ(text.status, 0) << text.err;
  test::expect_parts(text.out, {"Memory of one rank", "Time on 2 nodes of 8 ranks", "by the roofline alone", "sync hierarchical",
                                "async", "local", "Checkpoints of", "Async: 14 workers, 2 servers", "Buckets:"});
}

TEST(PlanCommand, TellsTheSameInJson) {
  const json plan = json_of(convoy_with(without_data("resnet-18") + "--batch-per-rank=8 --ranks=16 --format=json --cluster=" +
                                        cluster_path("h100-ndr")));
  EXPECT_EQ(plan["batch"], 128);
  const json sync = mode_of(plan, "sync");
  EXPECT_NEAR(sync["samples_per_second"].get<double>() * sync["step_seconds"].get<double>(), 128, 1e-6);
  EXPECT_NEAR(sync["efficiency"].get<double>(), plan["compute_seconds"].get<double>() / sync["step_seconds"].get<double>(), 1e-9);
  // what leaves a rank: 15/16 of the gradient scattered, and gathered; 8 of the 15 others are on the other node
  const double gradient = plan["bytes_per_rank"]["leaf_gradients"].get<double>();
  EXPECT_NEAR(sync["bytes_by_nics_per_node"].get<double>(), 8 * 2 * 8.0 / 16 * gradient, 0.001 * gradient);
  EXPECT_NEAR(sync["bytes_in_node_per_rank"].get<double>(), 2 * 7.0 / 16 * gradient, 0.001 * gradient);
  EXPECT_LT(mode_of(plan, "sync hierarchical")["bytes_by_nics_per_node"].get<double>(), 2.1 * gradient);
  EXPECT_GT(plan["checkpoint_interval_seconds"].get<double>(), 0);
  EXPECT_GE(plan["bucket_sizes"].size(), 5U);
}

TEST(PlanCommand, DrawsCurvesOverRanksTheSameEveryTime) {
  const std::string words = without_data("alexnet-2014") + "--batch-per-rank=4 --ranks=1,4,64,1024 --format=json --cluster=" +
                            cluster_path("p100-25gbe");
  const Outcome once = convoy_with(words), again = convoy_with(words);
  const json plans = json_of(once)["plans"];
  ASSERT_EQ(plans.size(), 4U);
  EXPECT_EQ(plans[0]["modes"].size(), 1U);
  for (std::size_t i = 1; i < plans.size(); ++i)
    EXPECT_LE(mode_of(plans[i], "sync fast")["efficiency"].get<double>(), mode_of(plans[i - 1], i > 1 ? "sync fast" : "sync")["efficiency"].get<double>() + 1e-6);
  EXPECT_EQ(once.out, again.out);
}

TEST(PlanCommand, SaysWhatAClusterFileLacks) {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "c.cfg").string();
  const std::string words = without_data("lenet-5") + "--batch-per-rank=4 --ranks=16 --cluster=" + file;
  Outcome outcome = convoy_with(words);
  EXPECT_EQ(outcome.status, 2);
  test::expect_parts(outcome.err, {file, "cannot be read", "--probe"});
  write_bytes(file, "[node]\ndevice = cuda\nranks = 8\n[compute]\nflops-per-second = 1e12\nbytes-per-second = 1e11\n"
                    "add-bytes-per-second = 1e10\n");
  outcome = convoy_with(words);
  EXPECT_EQ(outcome.status, 2);
  test::expect_parts(outcome.err, {"8 ranks on a node need [link.intra]"});
}

TEST(PlanCommand, RefusesWhatDoesNotFitTogether) {
  for (const auto& [words, part] : {std::pair{"plan --compare=x", "--cluster"}, {"plan --compare=x --cluster=y --probe", "one of them"},
                                    {"plan --model.name=lenet-5 --samples=10 --probe", "leave --samples away"},
                                    {"plan --model.name=lenet-5 --data.path=x --image=28x28x1", "--samples"},
                                    {"plan --model.name=lenet-5 --samples=1000 --virtual-workers=4 --ranks=8", "virtual-workers = 4"}}) {
    const Outcome outcome = convoy_with(words);
    EXPECT_EQ(outcome.status, 2) << words;
    test::expect_parts(outcome.err, {part});
  }
}

/// Probes with so many ranks, trains as many, and compares.
void probe_and_compare(const SmallRuns& runs, int ranks) {
  const std::string name = "r" + std::to_string(ranks), cluster = (runs.path() / (name + ".cfg")).string();
  const std::string mpirun = std::string(CONVOY_MPIRUN) + " -n " + std::to_string(ranks) + " '" + CONVOY_BINARY + "' ";
  const Outcome probed = run_command(mpirun + "plan " + runs.options(name, 0) + " --probe --format=json --ranks=" +
                                     std::to_string(ranks) + " --cluster=" + cluster);
  const json plan = json_of(probed);
  EXPECT_TRUE(plan["measured"].get<bool>());
  EXPECT_EQ(plan["modes"].size(), ranks == 1 ? 1U : 5U);
  const std::string written = bytes_of(cluster);
  test::expect_parts(written, {"[measured.mlp]", "micro-batch-seconds = ", "write-bytes-per-second = ", "device = cpu"});
  EXPECT_EQ(written.find("[link.intra]") != std::string::npos, ranks > 1) << written;
  const Outcome trained = run_command(mpirun + "train " + runs.options(name, 60) + " --train.log-every=20");
  ASSERT_EQ(trained.status, 0) << trained.err;
  const std::string compare = "plan --cluster=" + cluster + " --compare=" + runs.run(name).string();
  const json compared = json_of(convoy_with(compare + " --format=json"));
  EXPECT_EQ(compared["ranks"], ranks);
  EXPECT_EQ(compared["steps"], 40);
  int seen = 0;
  for (const json& row : compared["compared"]) {
    if (row["name"] == "booked memory") {
      EXPECT_EQ(row["predicted"], row["actual"]);
    }
    if (row["name"] == "step") {
      EXPECT_GT(row["predicted"].get<double>(), 0);
    }
    seen += row["name"] == "booked memory" || row["name"] == "peak RSS" || row["name"] == "step";
  }
  EXPECT_EQ(seen, 3);
  test::expect_parts(convoy_with(compare).out, {"predicted", "actual", "booked memory", "RSS is the whole process"});
}

TEST(PlanCommand, ProbesOneRankAndBooksWhatTheRunBooks) {
  const SmallRuns runs;
  probe_and_compare(runs, 1);
}

TEST(PlanCommand, ProbesSeveralRanksAndBooksWhatTheRunBooks) {
  const SmallRuns runs;
  probe_and_compare(runs, 2);
  probe_and_compare(runs, 3);
}

}  // namespace
}  // namespace convoy
