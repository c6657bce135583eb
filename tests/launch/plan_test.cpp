// Cluster files, step costs, and what is read from a run's folder.
#include <gtest/gtest.h>

#include "core/tensor/error.h"
#include "io/temporary_folder.h"
#include "launch/expect_message.h"
#include "launch/plan/booking_backend.h"
#include "launch/plan/cluster_file.h"
#include "launch/plan/compare.h"
#include "launch/plan/step_costs.h"

namespace convoy {
namespace {

constexpr char kNode[] = "[node]\ndevice = cuda\nranks = 8\n";
constexpr char kCompute[] = "[compute]\nflops-per-second = 1e12\nbytes-per-second = 1e11\nadd-bytes-per-second = 1e10\n";

std::string small_cluster() { return std::string(kNode) + kCompute; }

void expect_refused(const std::string& text, std::initializer_list<std::string> parts) {
  try {
    parse_cluster(text, "c.cfg");
    FAIL() << text;
  } catch (const UsageError& error) {
    test::expect_parts(error.what(), parts);
  }
}

TEST(ClusterFile, IsReadInSIUnits) {
  const Cluster cluster = parse_cluster(small_cluster() +
                                            "[link.inter]\nbytes-per-second = 46e9\nlatency-seconds = 1.5e-5\n"
                                            "[measured.resnet-50]\nprecision = fp16\nmicro-batch = 400\nsamples-per-second = 7162\n",
                                        "c.cfg");
  EXPECT_EQ(cluster.ranks, 8);
  EXPECT_EQ(cluster.inter.bytes_per_second, 46e9);
  EXPECT_EQ(cluster.inter.latency, 1.5e-5);
  EXPECT_EQ(cluster.intra.bytes_per_second, 0);
  ASSERT_EQ(cluster.measured.size(), 1U);
  EXPECT_EQ(cluster.measured[0].model, "resnet-50");
  EXPECT_NEAR(cluster.measured[0].seconds(), 400 / 7162.0, 1e-12);
}

TEST(ClusterFile, SuggestsTheNearestKey) {
  expect_refused(small_cluster() + "[link.inter]\nbandwith = 1\n", {"c.cfg:9: ", "no 'link.inter.bandwith'"});
  expect_refused(small_cluster() + "[compute2]\nx = 1\n", {"no 'compute2.x'", "known: node.device"});
  expect_refused(small_cluster() + "[link.inter]\nlatency-second = 1\n", {"did you mean link.inter.latency-seconds?"});
  expect_refused(small_cluster() + "[measured.lenet-5]\nmicrobatch = 1\n", {"[measured.lenet-5] has no 'microbatch'", "did you mean micro-batch?"});
}

TEST(ClusterFile, NamesWhatIsMissing) {
  expect_refused(kNode, {"c.cfg: missing: compute.flops-per-second, compute.bytes-per-second, compute.add-bytes-per-second"});
  expect_refused(std::string("[node]\ndevice = cpu\nranks = 2\n") + kCompute, {"missing: node.cores"});
  expect_refused(small_cluster() + "[measured.x]\nsamples-per-second = 1\n", {"[measured.x] lacks micro-batch"});
  expect_refused(small_cluster() + "[measured.x]\nmicro-batch = 1\n", {"needs samples-per-second or micro-batch-seconds"});
}

TEST(ClusterFile, RefusesWhatIsNoPositiveNumber) {
  for (const char* value : {"0", "-1", "fast", "1e9x", "inf", "nan", ""})
    expect_refused(small_cluster() + "[link.intra]\nbytes-per-second = " + value + "\n",
                   {"link.intra.bytes-per-second", "expected a number above 0"});
  expect_refused(small_cluster() + "[link.intra]\nlatency-seconds = -1e-6\n", {"expected a number of at least 0"});
  expect_refused("[node]\ndevice = tpu\n", {"node.device = tpu: expected cuda or cpu"});
}

TEST(ClusterFile, ItsTextIsReadBackTheSame) {
  Cluster cluster = parse_cluster(small_cluster(), "c.cfg");
  cluster.device = "cpu";
  cluster.cores = 2;
  cluster.intra = {9.5e9, 7e-6, 1e-7};
  cluster.node_hours = 1000;
  cluster.measured.push_back({.name = "a", .model = "lenet-5", .precision = "bf16", .micro_batch = 8, .micro_batch_seconds = 0.25,
                              .step_seconds = 0.5, .multiply_adds = 1e6});
  const std::string text = cluster_text(cluster, "two\nlines");
  EXPECT_TRUE(text.starts_with("# two\n# lines\n"));
  const Cluster again = parse_cluster(text, "again");
  EXPECT_EQ(cluster_text(again, "two\nlines"), text);
  EXPECT_EQ(again.intra.overhead, 1e-7);
  EXPECT_EQ(again.measured.at(0).model, "lenet-5");
  EXPECT_EQ(again.measured.at(0).step_seconds, 0.5);
}

TEST(ClusterFile, TheNearestMicroBatchOfThePrecisionCounts) {
  Cluster cluster;
  for (double batch : {8.0, 64.0}) cluster.measured.push_back({.name = "r", .model = "r", .micro_batch = batch, .micro_batch_seconds = 1});
  EXPECT_EQ(find_measured(cluster, "r", "fp32", 16)->micro_batch, 8);
  EXPECT_EQ(find_measured(cluster, "r", "fp32", 32)->micro_batch, 64);
  EXPECT_EQ(find_measured(cluster, "r", "bf16", 16), nullptr);
  EXPECT_EQ(find_measured(cluster, "s", "fp32", 16), nullptr);
}

Task lenet(std::int64_t micro_batch) {
  Task task;
  task.model = "lenet-5";
  task.classes = 10;
  task.micro_batch = micro_batch;
  task.image = Shape{28, 28, 1};
  task.prepare.mean = {0};
  task.prepare.deviation = {1};
  return task;
}

TEST(StepCosts, AreTheRoofline) {
  Cluster cluster;
  cluster.flops_per_second = 1e9;
  cluster.bytes_per_second = 1e30;
  const TrainingGraph training = build_training_graph(lenet(4), 1 << 20);
  const ProgramCosts by_arithmetic = costs_of(training, cluster);
  EXPECT_NEAR(by_arithmetic.work, 2e-9 * by_arithmetic.multiply_adds, 1e-12);
  EXPECT_EQ(by_arithmetic.starts, 0);
  cluster.op_seconds = 1e-6;
  const ProgramCosts with_starts = costs_of(training, cluster);
  EXPECT_GT(with_starts.starts, 20e-6);
  double segments = 0;
  for (double segment : with_starts.segments) segments += segment;
  EXPECT_NEAR(segments, with_starts.seconds(), 1e-12);
  EXPECT_EQ(with_starts.segments.size(), static_cast<std::size_t>(training.buckets.buckets()) + 1);
}

TEST(StepCosts, FewTilesLeaveProcessorsIdle) {
  Cluster cluster;
  cluster.flops_per_second = 1e9;
  cluster.bytes_per_second = 1e30;
  const TrainingGraph training = build_training_graph(lenet(4), 1 << 20);
  const double full = costs_of(training, cluster).work;
  cluster.units = 1000;
  EXPECT_GT(costs_of(training, cluster).work, 5 * full);
}

TEST(StepCosts, AMeasurementScalesTheWorkAndNotTheStarts) {
  const ProgramCosts measured{.work = 0.010, .starts = 0.002}, now{.work = 0.005, .starts = 0.002};
  EXPECT_NEAR(scaled_seconds(measured, measured, 0.030), 0.030, 1e-12);
  EXPECT_NEAR(scaled_seconds(now, measured, 0.030), 0.002 + 0.014, 1e-12);
}

TEST(BookingBackend, BindsAndTakesNoMemory) {
  const auto booking = make_booking_backend(), cpu = make_cpu_backend();
  const TrainingGraph training = build_training_graph(lenet(4), 1 << 20);
  const ProgramOptions options{.outside = training.leaves};
  const Program booked(training.graph, *booking, options), real(training.graph, *cpu, options);
  EXPECT_EQ(booked.arena_bytes(), real.arena_bytes());
  EXPECT_EQ(booked.scratch_bytes(), real.scratch_bytes());
  const TrainingGraph huge = build_training_graph(lenet(1 << 20), 1 << 20);  // 100 GB and more
  EXPECT_GT(Program(huge.graph, *booking, {.outside = huge.leaves}).arena_bytes(), std::size_t{20} << 30);
}

class RunOfRecords {
 public:
  explicit RunOfRecords(const std::string& records) {
    write_bytes(folder_.path() / "config.cfg", "[train]\nbatch = 100\n[model]\nname = mlp\n");
    write_bytes(folder_.path() / "metrics.jsonl", records);
  }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

std::string record(int step, double rate, double compute) {
  return "{\"kind\":\"train\",\"step\":" + std::to_string(step) + ",\"samples_per_second\":" + std::to_string(rate) +
         ",\"world_size\":2,\"booked_bytes\":1000,\"peak_rss_bytes\":5000,\"ranks\":[{\"rank\":0,\"compute\":" +
         std::to_string(compute) + ",\"communication\":4},{\"rank\":1,\"compute\":" + std::to_string(compute + 2) +
         ",\"communication\":2}]}\n";
}

TEST(Compare, LeavesTheFirstRecordOutAndWeighsTheOthersByTheirSteps) {
  const RunOfRecords run(record(10, 1, 1000) + record(20, 1000, 10) + record(50, 2000, 20) + "{\"kind\":\"train\",\"st");
  const ActualRun actual = read_actual_run(run.path());
  EXPECT_EQ(actual.ranks, 2);
  EXPECT_EQ(actual.steps, 40);
  EXPECT_NEAR(actual.step_seconds, (10 * 0.1 + 30 * 0.05) / 40, 1e-12);
  EXPECT_NEAR(actual.compute_seconds, (10 * 0.011 + 30 * 0.021) / 40, 1e-12);
  EXPECT_NEAR(actual.exposed_seconds, 0.003, 1e-12);
  EXPECT_NEAR(actual.most_seconds, 0.1, 1e-12);
  EXPECT_EQ(actual.booked_bytes, 1000);
}

TEST(Compare, SaysWhatIsWrongWithAFolder) {
  const RunOfRecords empty("");
  EXPECT_THROW(read_actual_run(empty.path()), DataError);
  EXPECT_THROW(read_actual_run(empty.path() / "nothing"), DataError);
  EXPECT_THROW(config_of_run(empty.path() / "nothing"), DataError);
}

}  // namespace
}  // namespace convoy
