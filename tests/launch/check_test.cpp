#include "launch/check.h"

#include <gtest/gtest.h>

#include "launch/check_mode.h"
#include "launch/expect_message.h"

namespace convoy {
namespace {

Config run(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--model.name=lenet-5", "--data.path=data/x"});
  return Config::parse("train", arguments);
}

TEST(CheckRun, AcceptsTheDefaultsOnceModelAndDataAreNamed) { EXPECT_NO_THROW(check_run(run({}))); }

TEST(CheckRun, AcceptsTheConfigThatARunWrites) {
  EXPECT_NO_THROW(check_run(Config::from_text("train", run({}).text(), "config.cfg")));
}

TEST(CheckRun, NamesTheNearestLegalBatchAndVirtualWorkers) {
  EXPECT_USAGE_ERROR(check_run(run({"--train.batch=100"})), "train.batch = 100", "96 or 104",
                     "virtual-workers = 5 or 10");
  EXPECT_USAGE_ERROR(check_run(run({"--train.batch=4"})), "train.batch = 8 or virtual-workers = 4");
}

TEST(CheckRun, AsksForModelAndData) {
  EXPECT_USAGE_ERROR(check_run(Config::parse("train", {"--data.path=x"})), "model.name is missing");
  EXPECT_USAGE_ERROR(check_run(Config::parse("train", {"--model.name=mlp"})), "data.path is missing");
}

TEST(CheckRun, KnowsTheModelsAndTheirOwnOptions) {
  EXPECT_USAGE_ERROR(check_run(Config::parse("train", {"--model.name=lenet-6", "--data.path=x"})), "lenet-6",
                     "lenet-5");
  EXPECT_USAGE_ERROR(check_run(run({"--model.hidden=30"})), "lenet-5", "model.hidden");
  EXPECT_USAGE_ERROR(check_run(run({"--model.variant=2025"})), "variant", "modern");
  EXPECT_NO_THROW(check_run(run({"--model.variant=modern"})));
}

TEST(CheckRun, GuessesWhatAModelsNameWasMeantToBe) {
  EXPECT_USAGE_ERROR(check_run(Config::parse("train", {"--model.name=lenet5", "--data.path=x"})), "command line: model.name",
                     "did you mean lenet-5?");
}

TEST(CheckRun, TellsAllMistakesAtOnce) {
  EXPECT_USAGE_ERROR(check_run(Config::parse("train", {"--train.batch=100", "--run=a/b"})), "4 mistakes", "model.name is missing",
                     "data.path is missing", "train.batch = 100", "'a/b'");
}

TEST(CheckRun, OfParameterServersSaysWhatDoesNotGoTogether) {
  EXPECT_NO_THROW(check_run(run({"--mode=async", "--servers=3", "--fetch-every=2", "--push-every=4", "--max-clock-gap=5"})));
  EXPECT_NO_THROW(check_run(run({"--mode=async", "--max-clock-gap=0"})));
  EXPECT_NO_THROW(check_run(run({"--backup-workers=2", "--servers=1"})));
  EXPECT_USAGE_ERROR(check_run(run({"--servers=1"})), "servers = 1", "mode = async");
  EXPECT_USAGE_ERROR(check_run(run({"--mode=async", "--servers=none"})), "servers = none", "colocated");
  EXPECT_USAGE_ERROR(check_run(run({"--mode=async", "--max-clock-gap=-1"})), "max-clock-gap = -1", "'none'");
  EXPECT_USAGE_ERROR(check_run(run({"--mode=async", "--max-clock-gap=0", "--push-every=2"})), "push-every = 2");
  EXPECT_USAGE_ERROR(check_run(run({"--mode=async", "--max-clock-gap=0", "--delay-compensation=1"})), "delay-compensation");
  EXPECT_USAGE_ERROR(check_run(run({"--mode=async", "--max-clock-gap=0", "--on-nan=skip"})), "on-nan = skip");
  EXPECT_USAGE_ERROR(check_run(run({"--mode=async", "--fetch-every=2", "--delay-compensation=1"})), "fetch-every");
  EXPECT_USAGE_ERROR(check_run(run({"--mode=async", "--backup-workers=1"})), "mode = sync");
  EXPECT_USAGE_ERROR(check_run(run({"--backup-workers=1", "--pull=fresh"})), "pull = fresh");
  EXPECT_USAGE_ERROR(check_run(run({"--mode=async", "--optim.name=lars", "--optim.momentum=0.9"})), "lars");
  EXPECT_USAGE_ERROR(check_run(run({"--mode=async", "--optim.clip-norm=1"})), "clip-norm");
  EXPECT_USAGE_ERROR(check_run(run({"--mode=async", "--reduction=fast"})), "all-reduce");
  EXPECT_USAGE_ERROR(check_run(run({"--mode=async", "--precision=fp16"})), "fp16");
  EXPECT_USAGE_ERROR(check_run(run({"--mode=async", "--on-nan=rewind"})), "rewind");
  EXPECT_USAGE_ERROR(check_run(run({"--mode=async", "--train.audit-every=7"})), "audit-every");
  EXPECT_USAGE_ERROR(check_run(run({"--replay=x"})), "--mode=async");
}

TEST(CheckRun, ImagesAndLabelsOfForeignFilesGoTogether) {
  EXPECT_USAGE_ERROR(check_run(run({"--data.images=/x"})), "data.labels");
  EXPECT_NO_THROW(check_run(run({"--data.images=/x", "--data.labels=/y"})));
}

TEST(CheckRun, AStepScheduleNeedsItsSteps) {
  EXPECT_USAGE_ERROR(check_run(run({"--optim.schedule=step"})), "optim.step-epochs or optim.milestones");
  EXPECT_USAGE_ERROR(check_run(run({"--optim.schedule=cosine", "--optim.milestones=3"})), "belong to",
                     "cosine");
  EXPECT_USAGE_ERROR(check_run(run({"--optim.schedule=step", "--optim.milestones=6,3"})), "rise");
  EXPECT_NO_THROW(check_run(run({"--optim.schedule=step", "--optim.milestones=3,6"})));
}

TEST(CheckRun, RefusesWhatTheOptimizerHasNoUseFor) {
  EXPECT_USAGE_ERROR(check_run(run({"--optim.beta1=0.8"})), "optim.beta1 = 0.8", "adam or adamw", "that is sgd");
  EXPECT_USAGE_ERROR(check_run(run({"--optim.name=adam", "--optim.momentum=0.5"})), "optim.momentum", "sgd or rmsprop or lars");
  EXPECT_USAGE_ERROR(check_run(run({"--optim.name=lars", "--optim.nesterov"})), "optim.nesterov");
  EXPECT_USAGE_ERROR(check_run(run({"--optim.name=adamw", "--optim.rho=0.8"})), "optim.rho", "rmsprop");
  EXPECT_USAGE_ERROR(check_run(run({"--optim.epsilon=1"})), "optim.epsilon");
  EXPECT_USAGE_ERROR(check_run(run({"--optim.name=rmsprop", "--optim.trust=1"})), "optim.trust", "lars");
  EXPECT_USAGE_ERROR(check_run(run({"--optim.average-decay=0.9"})), "optim.average = ema", "that is none");
  EXPECT_USAGE_ERROR(check_run(run({"--optim.average=ema", "--optim.average-from=1"})), "polyak");
  EXPECT_USAGE_ERROR(check_run(run({"--optim.average=polyak", "--optim.average-from=10"})), "train.epochs = 10");
  EXPECT_USAGE_ERROR(check_run(run({"--optim.clip-norm=1", "--optim.clip-value=1"})), "one of them");
  EXPECT_NO_THROW(check_run(run({"--optim.name=rmsprop", "--optim.epsilon=1", "--optim.rho=0.95", "--optim.clip-norm=2"})));
  EXPECT_NO_THROW(check_run(run({"--optim.name=lars", "--optim.trust=0.01", "--optim.average=polyak", "--optim.average-from=2.5"})));
}

TEST(CheckRun, AConstantWarmUpNeedsItsLengthAndRate) {
  EXPECT_USAGE_ERROR(check_run(run({"--optim.warmup=constant", "--optim.warmup-epochs=1"})), "optim.warmup-start");
  EXPECT_USAGE_ERROR(check_run(run({"--optim.warmup=constant", "--optim.warmup-start=0.1"})), "optim.warmup-epochs");
  EXPECT_NO_THROW(check_run(run({"--optim.warmup=constant", "--optim.warmup-epochs=1", "--optim.warmup-start=0.1"})));
}

TEST(CheckRun, ReadsPatternsOfLayersAndTheirFactors) {
  EXPECT_USAGE_ERROR(check_run(run({"--optim.rate-factor=conv1"})), "'conv1'", "PATTERN:FACTOR");
  EXPECT_USAGE_ERROR(check_run(run({"--optim.rate-factor=conv1:0"})), "above 0", "--freeze");
  EXPECT_USAGE_ERROR(check_run(run({"--freeze=a,,b"})), "freeze = 'a,,b'", "one is empty");
  EXPECT_USAGE_ERROR(check_run(run({"--init-from-layers=conv1"})), "--init-from");
  EXPECT_NO_THROW(check_run(run({"--optim.rate-factor=conv1:0.1,fc*:1e-2", "--freeze=conv1,conv2", "--init-from=x"})));
}

TEST(CheckRun, RejectsAWarmUpLongerThanTheRunAndNesterovWithoutMomentum) {
  EXPECT_USAGE_ERROR(check_run(run({"--train.epochs=2", "--optim.warmup-epochs=3"})),
                     "longer than train.epochs");
  EXPECT_USAGE_ERROR(check_run(run({"--optim.nesterov", "--optim.momentum=0"})), "optim.momentum");
}

TEST(CheckRun, KnowsTheOrdersOfTheStream) {
  EXPECT_NO_THROW(check_run(run({"--data.order=blocks-v1:64"})));
  for (const char* bad : {"blocks-v1:", "blocks-v1:0", "blocks-v1:6x", "random"}) {
    EXPECT_USAGE_ERROR(check_run(run({std::string("--data.order=") + bad})), "data.order", "full-v1", bad);
  }
}

TEST(CheckRun, RoundsSumsOfTheFixedTreeOnly) {
  EXPECT_USAGE_ERROR(check_run(run({"--reduction=fast", "--reduction-dtype=bf16"})), "reduction-dtype = bf16", "fast");
  EXPECT_NO_THROW(check_run(run({"--reduction-dtype=bf16"})));
}

TEST(CheckRun, ARunIsANameNotAPath) { EXPECT_USAGE_ERROR(check_run(run({"--run=a/b"})), "--runs=DIR"); }

TEST(CheckRanks, AllowsAsManyRanksAsVirtualWorkers) {
  const Config config = run({"--virtual-workers=4"});
  EXPECT_NO_THROW(check_ranks(config, 4));
  EXPECT_USAGE_ERROR(check_ranks(config, 5), "5 ranks", "virtual-workers = 4", "at most 4 ranks");
}

}  // namespace
}  // namespace convoy
