// Training on a device, as a user would do it: the same commands as on hosts, through the step engine of devices. The
// device is played by the CPU (device_driver.cpp); with the cpu backend's kernels on it every digest is the host's.
#include <gtest/gtest.h>

#include <csignal>
#include <thread>

#include "io/png.h"
#include "training_fixture.h"

namespace convoy {
namespace {

// Batch norm, crops, flips, dropout, momentum, decay, schedules, epochs' ends and validation: all of a run's state.
const std::string kResNet =
    "--model.name=resnet-20 --train.batch=16 --virtual-workers=8 --train.epochs=1 --train.steps=4 --data.crop=12 "
    "--data.pad=1 --data.flip --optim.rate=0.05 --optim.decay=1e-4 --optim.schedule=cosine --distributed.bucket-bytes=65536 "
    "--device.threads=1";
const std::string kMlp =
    "--model.name=mlp --model.dropout=0.3 --train.batch=40 --virtual-workers=8 --train.epochs=60 --train.steps=40 "
    "--data.validation=0.1 --data.pad=2 --optim.rate=0.05 --optim.nesterov --checkpoint.every-steps=10 "
    "--checkpoint.every-epochs=0 --train.audit-every=5 --train.log-every=3 --distributed.bucket-bytes=20000 "
    "--device.threads=1";

class DeviceTraining : public Training {
 protected:
  static std::string binary(const std::string& device, int seed) {
    return "CONVOY_TEST_DEVICE=" + device + " CONVOY_TEST_SEED=" + std::to_string(seed) + " '" + CONVOY_DEVICE_BINARY + "'";
  }
  static Outcome on_device(int ranks, const std::string& run, const std::string& options, const std::string& device = "late",
                           int seed = 1) {
    // mpirun takes no assignments before the program: they stand before mpirun, which hands its environment on.
    const std::string called = command(run, options, std::string("'") + CONVOY_DEVICE_BINARY + "'");
    const std::string nccl = options.find("--distributed.transport=nccl") == std::string::npos ? "" : " CONVOY_TEST_NCCL=1";
    return run_command("CONVOY_TEST_DEVICE=" + device + " CONVOY_TEST_SEED=" + std::to_string(seed) + nccl + " " +
                           CONVOY_MPIRUN + " -n " + std::to_string(ranks) + " " + called,
                       ".", 110);
  }
  /// Of a run on the host, made once.
  static std::string host_digest(const std::string& run, const std::string& options) {
    if (!std::filesystem::exists(run_folder(run))) {
      EXPECT_EQ(train(1, run, options).status, 0);
    }
    return digest(run);
  }
  /// Of training and validation.
  static std::vector<json> records(const std::string& run) {
    std::vector<json> all;
    std::ifstream file(run_folder(run) / "metrics.jsonl");
    for (std::string line; std::getline(file, line);) {
      all.push_back(json::parse(line));
      if (all.back()["kind"] != "train" && all.back()["kind"] != "validation") all.pop_back();
    }
    return all;
  }
  /// Their numbers, the speeds left out.
  static std::vector<json> numbers(const std::string& run) {
    std::vector<json> all;
    for (const json& record : records(run)) {
      all.emplace_back();
      for (const char* name : {"kind", "step", "epoch", "loss", "top1", "top5", "rate", "loss_scale", "overflows"})
        if (record.contains(name)) all.back()[name] = record[name];
    }
    return all;
  }
};

bool says(const Outcome& outcome, const std::string& words) { return outcome.err.find(words) != std::string::npos; }

TEST_F(DeviceTraining, GivesTheHostsBitsOnOneToFourRanks) {
  const std::string expected = host_digest("host-resnet", kResNet);
  for (int ranks = 1; ranks <= 4; ++ranks) {
    const std::string run = "resnet" + std::to_string(ranks);
    const Outcome outcome = on_device(ranks, run, kResNet);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(digest(run), expected) << ranks << " ranks";
  }
}

TEST_F(DeviceTraining, OfEveryOptimizerGivesTheHostsBitsThroughAResume) {
  for (const std::string name : {"rmsprop", "adam", "adamw", "lars"}) {
    const std::string options = with(kResNet, "--train.steps=4 --optim.rate=0.01") + " --optim.name=" + name +
                                " --optim.clip-norm=0.5 --optim.average=ema --freeze=stem";
    const std::string expected = host_digest("host-" + name, options);
    Outcome outcome = on_device(2, "part-" + name, with(options, "--train.steps=2"));
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    outcome = on_device(1, "part-" + name, options + " --resume=latest");
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(digest("part-" + name), expected) << name;
  }
}

/// Workers on devices, servers on hosts.
TEST_F(DeviceTraining, OfWorkersInRoundsGivesTheBitsOfModeSync) {
  const std::string options = with(kMlp, "--train.audit-every=100 --train.steps=6");
  for (const std::string device : {"late", "cuda"}) {
    const std::string sync = "sync-" + device, rounds = "rounds-" + device;
    ASSERT_EQ(on_device(1, sync, options, device).status, 0);
    const Outcome outcome = on_device(3, rounds, options + " --mode=async --servers=1 --max-clock-gap=0", device);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(digest(rounds), digest(sync)) << device;
  }
}

TEST_F(DeviceTraining, MixesSamplesAsTheHostDoes) {
  const std::string options = kResNet + " --data.mixup=0.5 --data.cutout=4 --data.brightness=0.2";
  const std::string expected = host_digest("host-mixed", options);
  EXPECT_NE(expected, host_digest("host-resnet", kResNet));
  for (int ranks : {1, 2}) {
    const std::string run = "mixed" + std::to_string(ranks);
    const Outcome outcome = on_device(ranks, run, options);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(digest(run), expected) << ranks << " ranks";
  }
}

TEST_F(DeviceTraining, GivesTheHostsBitsFromDeviceToDevice) {
  const std::string mlp = with(kMlp, "--train.steps=10");
  const struct {
    std::string name, options;
    int ranks;
  } cases[] = {{"mlp", mlp, 2},
               {"mlp", mlp, 3},
               {"mlp-bf16", mlp + " --reduction-dtype=bf16", 4},
               {"resnet-bf16", with(kResNet, "--train.steps=2 --reduction-dtype=bf16"), 2}};
  for (const auto& [name, options, ranks] : cases) {
    const std::string run = "nccl-" + name + std::to_string(ranks);
    const Outcome outcome = on_device(ranks, run, options + " --distributed.transport=nccl", "late", ranks);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(digest(run), host_digest("nccl-host-" + name, options)) << name << " on " << ranks << " ranks";
  }
}

TEST_F(DeviceTraining, GivesTheHostsBitsAndNumbersInWhateverOrderItsStreamsRun) {
  const std::string expected = host_digest("host-mlp", kMlp);
  for (int seed = 1; seed <= 3; ++seed) {
    const std::string run = "mlp-seed" + std::to_string(seed);
    const Outcome outcome = on_device(1, run, kMlp, "late", seed);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(digest(run), expected) << "seed " << seed;
    EXPECT_EQ(numbers(run), numbers("host-mlp")) << "seed " << seed;
  }
}

TEST_F(DeviceTraining, GivesTheHostsBitsWithOneMicroBatch) {
  const std::string options = with(kMlp, "--virtual-workers=1 --train.steps=20");
  const std::string expected = host_digest("host-one", options);
  ASSERT_EQ(on_device(1, "one", options).status, 0);
  EXPECT_EQ(digest("one"), expected);
}

TEST_F(DeviceTraining, GivesTheHostsBitsWithRoundedSums) {
  const std::string options = with(kMlp, "--reduction-dtype=bf16 --train.steps=20");
  const std::string expected = host_digest("host-rounded", options);
  for (int ranks : {1, 3}) {
    const std::string run = "rounded" + std::to_string(ranks);
    ASSERT_EQ(on_device(ranks, run, options).status, 0);
    EXPECT_EQ(digest(run), expected) << ranks << " ranks";
  }
}

/// Steps that were not applied because the scaled gradient was too large, in all records.
int overflows(const std::vector<json>& records) {
  int all = 0;
  for (const json& record : records) all += record.value("overflows", 0);
  return all;
}

TEST_F(DeviceTraining, ScalesTheLossAsAHostDoes) {
  const std::string options = with(kMlp, "--precision=fp16 --train.steps=20");
  const std::string expected = host_digest("host-half", options);
  EXPECT_GT(overflows(records("host-half")), 0);
  for (int ranks : {1, 3}) {
    const std::string run = "half" + std::to_string(ranks);
    const Outcome outcome = on_device(ranks, run, options);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(digest(run), expected) << ranks << " ranks";
    EXPECT_EQ(numbers(run), numbers("host-half"));
  }
  // The scale and its counter go with the checkpoint.
  ASSERT_EQ(on_device(2, "half-parts", with(options, "--train.steps=7")).status, 0);
  ASSERT_EQ(on_device(1, "half-parts", options + " --resume=latest").status, 0);
  EXPECT_EQ(digest("half-parts"), expected);
}

TEST_F(DeviceTraining, LeavesModelsThatOthersComputeInTheirOwnPrecision) {
  for (const std::string precision : {"tf32", "bf16", "fp32"}) {
    ASSERT_EQ(on_device(1, precision, with(kMlp, "--train.steps=3 --precision=" + precision)).status, 0);
    const Outcome outcome = convoy_with("evaluate --device=cpu --data.split=validation --checkpoint=" + run_folder(precision).string());
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_NE(outcome.out.find(precision == "bf16" ? ", in bf16 on the " : ", in fp32 on the "), std::string::npos) << outcome.out;
    EXPECT_EQ(says(outcome, "trained in tf32"), precision == "tf32") << outcome.err;
  }
  const Outcome mixed = convoy_with("evaluate --device=cpu --data.split=validation --checkpoint " + run_folder("tf32").string() + " " +
                                    run_folder("fp32").string());
  EXPECT_EQ(mixed.status, 2) << mixed.out;
  EXPECT_TRUE(says(mixed, "in tf32 and")) << mixed.err;
}

TEST_F(DeviceTraining, LooksForASampleWhereNoLossScaleHelps) {
  const std::string options = with(kMlp, "--precision=fp16 --train.steps=30 --on-nan=skip '--inject=nan:sample=123'");
  const std::string expected = host_digest("host-half-skip", options);
  const Outcome outcome = on_device(2, "half-skip", options);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(digest("half-skip"), expected);
}

TEST_F(DeviceTraining, ContinuesAHostsRunAndAHostContinuesIts) {
  const std::string expected = host_digest("host-mlp", kMlp);
  ASSERT_EQ(train(2, "there", with(kMlp, "--train.steps=17")).status, 0);
  ASSERT_EQ(on_device(3, "there", kMlp + " --resume=latest").status, 0);
  EXPECT_EQ(digest("there"), expected);
  ASSERT_EQ(on_device(2, "back", with(kMlp, "--train.steps=17")).status, 0);
  ASSERT_EQ(train(1, "back", kMlp + " --resume=latest").status, 0);
  EXPECT_EQ(digest("back"), expected);
}

TEST_F(DeviceTraining, NamesTheSampleAndTheOpOfTheFirstNaN) {
  const Outcome outcome = on_device(2, "nan", kMlp + " '--inject=nan:sample=123'");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(says(outcome, "the first NaN came from the op prepare, for sample 123 (")) << outcome.err;
}

TEST_F(DeviceTraining, SkipsAndRewindsAsAHostDoes) {
  for (const std::string policy : {"skip", "rewind"}) {
    const std::string options = kMlp + " --on-nan=" + policy + " '--inject=nan:sample=123'";
    const std::string expected = host_digest("host-" + policy, options);
    for (int ranks : {1, 3}) {
      const std::string run = policy + std::to_string(ranks);
      const Outcome outcome = on_device(ranks, run, options);
      ASSERT_EQ(outcome.status, 0) << outcome.err;
      EXPECT_EQ(digest(run), expected) << policy << " on " << ranks << " ranks";
      EXPECT_EQ(shown(run)["skipped_steps"], shown("host-" + policy)["skipped_steps"]);
    }
  }
}

TEST_F(DeviceTraining, StopsWithOneMessageWhenTheLossIsNotFinite) {
  const Outcome outcome = on_device(2, "diverged", with(kMlp, "--optim.rate=1e6"));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(lines_in(outcome.err.substr(outcome.err.find("convoy: "))), 1) << outcome.err;
  EXPECT_TRUE(says(outcome, "--on-nan=stop")) << outcome.err;
}

TEST_F(DeviceTraining, NamesAndMendsATensorWhereABitFlipped) {
  const std::string expected = host_digest("host-mlp", kMlp);
  const std::string options = kMlp + " '--inject=flip:tensor=hidden1,rank=1@step=25'";
  const Outcome outcome = on_device(3, "flip", options);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(says(outcome, "differs on rank 1 from the 2 ranks that agree")) << outcome.err;
  const Outcome mended = on_device(3, "mended", options + " --on-audit=repair");
  ASSERT_EQ(mended.status, 0) << mended.err;
  EXPECT_EQ(digest("mended"), expected);
}

TEST_F(DeviceTraining, GoesOnWithTheSameBitsAfterAKilledRank) {
  const std::string options = kMlp + " '--inject=kill:rank=1@step=23'";
  EXPECT_NE(on_device(2, "killed", options).status, 0);
  const Outcome last = on_device(3, "killed", options + " --resume=latest");
  ASSERT_EQ(last.status, 0) << last.err;
  EXPECT_EQ(digest("killed"), host_digest("host-mlp", kMlp));
}

TEST_F(DeviceTraining, EndsWithStatus75AndGoesOnWithTheSameBits) {
  const std::string options = with(kMlp, "--train.steps=120 --train.log-every=2");
  std::thread asker([&] {
    for (int wait = 0; wait < 8000; ++wait) {
      std::ifstream metrics(run_folder("stopped") / "metrics.jsonl");
      if (metrics.peek() != std::ifstream::traits_type::eof()) break;  // it has trained some steps
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const std::vector<int> pids = ranks_of(folder_->path() / "runs", "stopped", CONVOY_DEVICE_BINARY);
    if (!pids.empty()) kill(pids.back(), SIGUSR2);  // one rank alone
  });
  const Outcome outcome = on_device(2, "stopped", options);
  asker.join();
  EXPECT_EQ(outcome.status, 75) << outcome.err;
  EXPECT_EQ(shown("stopped")["step"], status("stopped")["step"]);
  ASSERT_EQ(on_device(1, "stopped", options + " --resume=latest").status, 0);
  EXPECT_EQ(digest("stopped"), host_digest("host-long", options));
}

TEST_F(DeviceTraining, EvaluatesToTheHostsNumbers) {
  host_digest("host-mlp", kMlp);
  const std::string arguments = " evaluate --format=json --output=" + (folder_->path() / "pictures").string() +
                                " --checkpoint=" + run_folder("host-mlp").string();
  const Outcome host = convoy_with(arguments);
  const Outcome device = run_command(binary("late", 1) + arguments);
  ASSERT_EQ(device.status, 0) << device.err;
  EXPECT_EQ(device.out, host.out);
}

TEST_F(DeviceTraining, PredictsTheHostsClasses) {
  host_digest("host-mlp", kMlp);
  const std::filesystem::path images = folder_->path() / "images";
  std::filesystem::create_directories(images);
  for (int image = 0; image < 7; ++image) {  // more than a batch of the model's, which is 5
    Tensor picture({28, 28, 1}, DType::u8);
    for (std::size_t i = 0; i < picture.size_bytes(); ++i)
      picture.values<std::uint8_t>()[i] = static_cast<std::uint8_t>(i * static_cast<std::size_t>(image + 3) % 251);
    write_png(images / (std::to_string(image) + ".png"), picture);
  }
  const std::string arguments =
      " predict --format=json --input=" + images.string() + " --checkpoint=" + run_folder("host-mlp").string();
  const Outcome host = convoy_with(arguments);
  const Outcome device = run_command(binary("late", 1) + arguments);
  ASSERT_EQ(host.status, 0) << host.err;
  ASSERT_EQ(device.status, 0) << device.err;
  EXPECT_EQ(device.out, host.out);
}

TEST_F(DeviceTraining, MeasuresStepsOpByOp) {
  const Outcome outcome =
      run_command(binary("late", 1) + " bench step --model=lenet-5 --input=28x28x1 --batch=8 --virtual-workers=2 --steps=2 "
                                      "--repetitions=1 --profile");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("samples/s"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("conv"), std::string::npos) << outcome.out;
}

// The cuda backend's own kernels, whose bits are not the cpu backend's.
TEST_F(DeviceTraining, GivesOneDigestOnTheCudaBackendWhateverTheRanksAndOrders) {
  const std::string options = with(kMlp, "--train.steps=6 --train.batch=16 --checkpoint.every-steps=0 --train.audit-every=0 --data.validation=0");
  ASSERT_EQ(on_device(1, "cuda1", options, "cuda", 1).status, 0);
  const std::string expected = digest("cuda1");
  for (int ranks : {1, 3}) {
    const std::string run = "cuda-again" + std::to_string(ranks);
    const Outcome outcome = on_device(ranks, run, options, "cuda", 5);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(digest(run), expected) << ranks << " ranks";
  }
}

TEST_F(DeviceTraining, OfEveryOptimizerGivesOneDigestOnTheCudaBackend) {
  for (const std::string name : {"rmsprop", "adam", "lars"}) {
    const std::string options =
        with(kMlp, "--train.steps=4 --train.batch=16 --checkpoint.every-steps=0 --train.audit-every=0 --data.validation=0 "
                   "--optim.nesterov=no --optim.decay=1e-3 --optim.clip-norm=0.5 --optim.average=polyak --optim.name=" + name);
    for (int ranks : {1, 2}) {
      const Outcome outcome = on_device(ranks, "cuda-" + name + std::to_string(ranks), options, "cuda", ranks);
      ASSERT_EQ(outcome.status, 0) << outcome.err;
    }
    EXPECT_EQ(digest("cuda-" + name + "1"), digest("cuda-" + name + "2")) << name;
  }
}

}  // namespace
}  // namespace convoy
