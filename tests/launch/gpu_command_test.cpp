// What a GPU must do, as a user would check it: the binary under mpirun with --device=cuda. Skipped where no device is.
#include "support/gpu_device.h"

// In a bundle both lie elsewhere than where they were built.
#define CONVOY_BINARY ::convoy::test::from_environment("CONVOY_TEST_BINARY", CONVOY_BUILT_BINARY)
#define CONVOY_MPIRUN ::convoy::test::from_environment("CONVOY_TEST_MPIRUN", CONVOY_BUILT_MPIRUN)

#include <random>

#include "launch/loss_curves.h"
#include "launch/training_fixture.h"

namespace convoy {
namespace {

constexpr int kSteps = 50;
constexpr int kLimitSeconds = 240;   // a first run times the libraries' plans

// Small images of four classes. Rates at which all arithmetics learn, and none is chaotic within 50 steps.
const std::string kLeNet =
    "--model.name=lenet-5 --model.variant=modern --train.batch=64 --train.epochs=60 --train.steps=50 --optim.rate=0.01 "
    "--train.log-every=1";
const std::string kResNet =
    "--model.name=resnet-20 --train.batch=64 --train.epochs=60 --train.steps=50 --optim.rate=0.01 --optim.decay=1e-4 "
    "--data.pad=2 --data.flip --train.log-every=1";

class GpuTraining : public Training {
 protected:
  static void SetUpTestSuite() {
    Training::SetUpTestSuite();
    const Outcome outcome = run_command("'" + CONVOY_BINARY + "' bench step --model=mlp --batch=8 --steps=1 "
                                        "--repetitions=1 --device=cuda", ".", kLimitSeconds);
    // 2: refused before anything started. Anything else is a failure of what was started.
    if (outcome.status == 2) reason_ = outcome.err.substr(0, outcome.err.find('\n'));
    if (outcome.status != 0 && outcome.status != 2) broken_ = "bench step --device=cuda: " + outcome.err;
  }
  void SetUp() override {
    ASSERT_EQ(broken_, "");
    CONVOY_NEEDS_DEVICE(reason_);
  }

  /// A run of `options`, which must end well.
  static void run(int ranks, const std::string& name, const std::string& options) {
    const Outcome outcome = attempt(ranks, name, options);
    ASSERT_EQ(outcome.status, 0) << name << ": " << outcome.err;
  }
  static Outcome attempt(int ranks, const std::string& name, const std::string& options) {
    return run_command(CONVOY_MPIRUN + " -n " + std::to_string(ranks) + " " + command(name, options), ".", kLimitSeconds);
  }
  static std::string on_gpu(const std::string& options, int ranks = 1) {
    return options + " --device=cuda" + (ranks > 1 ? " --share-gpu" : "");
  }
  static std::vector<double> losses(const std::string& name) { return losses_of(run_folder(name)); }

 private:
  static inline std::string reason_, broken_;
};

TEST_F(GpuTraining, LeNetLearnsInFp32WhatItLearnsOnTheCpu) {
  ASSERT_NO_FATAL_FAILURE(run(1, "lenet-cpu", kLeNet + " --device=cpu"));
  ASSERT_NO_FATAL_FAILURE(run(1, "lenet-cuda", on_gpu(kLeNet)));
  expect_close_losses(losses("lenet-cuda"), losses("lenet-cpu"), kSteps, {}, "lenet-5, fp32");
}

TEST_F(GpuTraining, ResNetLearnsInFp32WhatItLearnsOnTheCpu) {
  ASSERT_NO_FATAL_FAILURE(run(1, "resnet-cpu", kResNet + " --device=cpu"));
  ASSERT_NO_FATAL_FAILURE(run(1, "resnet-cuda", on_gpu(kResNet)));
  expect_close_losses(losses("resnet-cuda"), losses("resnet-cpu"), kSteps, {.first = 1e-4, .all = 0.05}, "resnet-20, fp32");
}

TEST_F(GpuTraining, NarrowPrecisionsLearnWhatFp32Learns) {
  for (const auto& [model, options] : {std::pair{"lenet", kLeNet}, {"resnet", kResNet}}) {
    const std::string name = std::string(model) + "-";
    ASSERT_NO_FATAL_FAILURE(run(1, name + "fp32", on_gpu(options)));
    for (const char* precision : {"tf32", "bf16", "fp16"}) {
      ASSERT_NO_FATAL_FAILURE(run(1, name + precision, on_gpu(options + " --precision=" + precision)));
      expect_close_losses(losses(name + precision), losses(name + "fp32"), kSteps, {.first = 0.02, .all = 0.1},
                          name + precision);
    }
  }
}

TEST_F(GpuTraining, GivesTheSameBitsEveryTime) {
  for (const char* precision : {"fp32", "tf32", "bf16", "fp16"}) {
    const std::string options = on_gpu(with(kResNet, std::string("--train.steps=10 --precision=") + precision));
    const std::string name = std::string("again-") + precision;
    for (int time = 0; time < 3; ++time) ASSERT_NO_FATAL_FAILURE(run(1, name + std::to_string(time), options));
    EXPECT_EQ(digest(name + "1"), digest(name + "0")) << precision;
    EXPECT_EQ(digest(name + "2"), digest(name + "0")) << precision;
  }
}

TEST_F(GpuTraining, GivesTheSameBitsOnOneTwoAndFourRanksOfOneGpu) {
  for (const auto& [model, options] : {std::pair{"lenet", with(kLeNet, "--train.steps=20")},
                                       {"resnet", with(kResNet, "--train.steps=20 --precision=bf16")}}) {
    for (int ranks : {1, 2, 4})
      ASSERT_NO_FATAL_FAILURE(run(ranks, model + std::to_string(ranks), on_gpu(options, ranks)));
    for (int ranks : {2, 4})
      EXPECT_EQ(digest(model + std::to_string(ranks)), digest(model + std::string("1"))) << model << ", " << ranks << " ranks";
  }
}

TEST_F(GpuTraining, GivesTheSameBitsAfterAKilledRankAndAResumeOnAnotherWorldSize) {
  const unsigned seed = std::random_device{}();
  std::mt19937 random(seed);
  const int step = 12 + static_cast<int>(random() % 30);
  SCOPED_TRACE("seed " + std::to_string(seed) + ", killed before step " + std::to_string(step));
  const std::string options = kLeNet + " --checkpoint.every-steps=10";
  ASSERT_NO_FATAL_FAILURE(run(1, "calm", on_gpu(options)));
  const Outcome killed =
      attempt(2, "killed", on_gpu(options + " --inject=kill:rank=1@step=" + std::to_string(step), 2));
  EXPECT_NE(killed.status, 0) << "nobody was killed";
  ASSERT_NO_FATAL_FAILURE(run(1, "killed", on_gpu(options + " --resume=latest")));
  EXPECT_EQ(digest("killed"), digest("calm"));
}

TEST_F(GpuTraining, OfAsynchronousWorkersInRoundsAndReplayedGivesTheSameBits) {
  const std::string options = with(kLeNet, "--train.steps=20");
  ASSERT_NO_FATAL_FAILURE(run(1, "sync", on_gpu(options)));
  ASSERT_NO_FATAL_FAILURE(run(3, "rounds", on_gpu(options + " --mode=async --servers=1 --max-clock-gap=0", 3)));
  EXPECT_EQ(digest("rounds"), digest("sync"));
  const std::string slow = with(options, "--optim.rate=0.001") + " --mode=async";
  ASSERT_NO_FATAL_FAILURE(run(3, "async", on_gpu(slow + " --servers=1", 3)));
  ASSERT_NO_FATAL_FAILURE(run(1, "async-again", on_gpu(slow + " --replay=" + (run_folder("async") / "pushes.jsonl").string())));
  EXPECT_EQ(digest("async-again"), digest("async"));
}

TEST_F(GpuTraining, EvaluatesACheckpointAsTheCpuDoes) {
  ASSERT_NO_FATAL_FAILURE(run(1, "evaluated", on_gpu(kLeNet)));
  json found[2];
  for (int i = 0; i < 2; ++i) {
    const Outcome outcome = run_command("'" + CONVOY_BINARY + "' evaluate --checkpoint=" + run_folder("evaluated").string() +
                                        " --data.path=" + (folder_->path() / "data").string() +
                                        " --format=json --device=" + (i == 0 ? "cpu" : "cuda"), ".", kLimitSeconds);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    found[i] = json::parse(outcome.out);
  }
  EXPECT_NEAR(found[1]["loss"].get<double>(), found[0]["loss"].get<double>(), 1e-4 * found[0]["loss"].get<double>());
  EXPECT_NEAR(found[1]["top1"].get<double>(), found[0]["top1"].get<double>(), 0.02);
}

}  // namespace
}  // namespace convoy
