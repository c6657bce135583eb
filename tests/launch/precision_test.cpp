// Mixed precision as a user sees it: the same promises as in fp32, and nearly the same losses.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "training_fixture.h"

namespace convoy {
namespace {

const std::string kResNet =
    "--model.name=resnet-20 --train.batch=16 --virtual-workers=8 --train.epochs=1 --train.steps=3 --data.crop=12 "
    "--data.pad=1 --data.flip --optim.rate=0.05 --optim.decay=1e-4 --device.threads=1";
const std::string kMlp =
    "--model.name=mlp --model.dropout=0.3 --train.batch=40 --virtual-workers=8 --train.epochs=3 --data.validation=0.1 "
    "--data.pad=2 --optim.rate=0.05 --optim.nesterov";
const std::string kLeNet =
    "--model.name=lenet-5 --model.variant=modern --train.batch=40 --train.epochs=3 --optim.rate=0.01 "
    "--data.validation=0.1 --train.log-every=5";

class Precision : public Training {
 protected:
  /// Losses of the records of a kind, in order.
  static std::vector<double> losses(const std::string& run, const std::string& kind) {
    std::vector<double> found;
    std::ifstream file(run_folder(run) / "metrics.jsonl");
    for (std::string line; std::getline(file, line);)
      if (const json record = json::parse(line); record["kind"] == kind) found.push_back(record["loss"]);
    return found;
  }
};

TEST_F(Precision, GivesTheSameBitsOnOneToFourRanksInBf16) {
  for (const auto& [name, options] : {std::pair{"resnet", kResNet}, {"mlp", with(kMlp, "--train.steps=5")}}) {
    std::string first;
    for (int ranks = 1; ranks <= 4; ++ranks) {
      const std::string run = std::string(name) + std::to_string(ranks);
      const Outcome outcome = train(ranks, run, options + " --precision=bf16");
      ASSERT_EQ(outcome.status, 0) << outcome.err;
      if (first.empty()) first = digest(run);
      EXPECT_EQ(digest(run), first) << name << " on " << ranks << " ranks";
    }
  }
}

TEST_F(Precision, GivesOtherBitsThanFp32) {
  for (const std::string precision : {"fp32", "bf16", "fp16"})
    ASSERT_EQ(train(1, precision, with(kMlp, "--train.steps=3 --precision=" + precision)).status, 0);
  EXPECT_NE(digest("fp32"), digest("bf16"));
  EXPECT_NE(digest("fp32"), digest("fp16"));
  EXPECT_NE(digest("bf16"), digest("fp16"));
}

/// Copies of the weights are in no checkpoint: they are made anew from the masters.
TEST_F(Precision, ResumesWithTheBitsOfARunThatDidNotStop) {
  for (const std::string precision : {"bf16", "fp16"}) {
    const std::string options = kMlp + " --precision=" + precision;
    ASSERT_EQ(train(2, "whole" + precision, with(options, "--train.steps=20")).status, 0);
    ASSERT_EQ(train(3, "parts" + precision, with(options, "--train.steps=11")).status, 0);
    ASSERT_EQ(train(1, "parts" + precision, with(options, "--train.steps=20 --resume=latest")).status, 0);
    EXPECT_EQ(digest("parts" + precision), digest("whole" + precision));
  }
}

/// MiB of the "[model]" line.
double mebibytes_per_rank(const Outcome& outcome) {
  const std::size_t end = outcome.err.find(" MiB per rank");
  if (end == std::string::npos) return -1;
  return std::stod(outcome.err.substr(outcome.err.rfind(' ', end - 1)));
}

TEST_F(Precision, TellsItselfItsMemoryAndWhatOverflowed) {
  const std::string options = with(kResNet, "--train.steps=1 --train.batch=128 --virtual-workers=2");
  const Outcome wide = train(1, "told-wide", options), narrow = train(1, "told-narrow", options + " --precision=bf16");
  EXPECT_NE(wide.err.find("cpu backend in fp32, "), std::string::npos) << wide.err;
  EXPECT_NE(narrow.err.find("cpu backend in bf16, "), std::string::npos) << narrow.err;
  // Parameters, momentum and gradients stay wide; they are 272,474 each.
  EXPECT_GT(mebibytes_per_rank(narrow), 3 * 272474 * 4.0 / (1 << 20));
  EXPECT_LT(mebibytes_per_rank(narrow), mebibytes_per_rank(wide));
  EXPECT_EQ(wide.err.find("overflow"), std::string::npos) << wide.err;
  const Outcome half = train(1, "told-half", with(kMlp, "--train.steps=3 --train.log-every=1 --precision=fp16"));
  EXPECT_NE(half.err.find("  overflows 1"), std::string::npos) << half.err;
  EXPECT_NE(half.err.find("of the steps were not applied: the scaled gradient overflowed"), std::string::npos) << half.err;
}

TEST_F(Precision, SaysWhereItGainsNoTime) {
  const Outcome outcome = train(1, "no-gain", with(kMlp, "--train.steps=1 --precision=bf16 --device.isa=avx2"));
  EXPECT_EQ(outcome.status, 0);
  EXPECT_NE(outcome.err.find("[device] this cpu multiplies no bf16 (no AVX512_BF16"), std::string::npos) << outcome.err;
}

TEST_F(Precision, RefusesToResumeInAnotherPrecision) {
  ASSERT_EQ(train(1, "changed", with(kMlp, "--train.steps=2 --precision=bf16")).status, 0);
  const Outcome outcome = train(1, "changed", with(kMlp, "--train.steps=4 --resume=latest"));
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.err.find("precision"), std::string::npos) << outcome.err;
}

TEST_F(Precision, KeepsNothingButF32InCheckpoints) {
  ASSERT_EQ(train(1, "masters", with(kMlp, "--train.steps=2 --precision=bf16")).status, 0);
  const json all = shown("masters");
  EXPECT_EQ(all.dump().find("bfloat16"), std::string::npos);
  EXPECT_NE(all.dump().find("float32"), std::string::npos);
}

/// The bound is loose against one loss' noise and tight against training that does not work: at the start the loss is log 10.
TEST_F(Precision, LearnsAsInFp32) {
  std::vector<double> reference, validation;
  for (const std::string precision : {"fp32", "bf16", "fp16"}) {
    ASSERT_EQ(train(2, "learns" + precision, kLeNet + " --precision=" + precision).status, 0);
    const std::vector<double> found = losses("learns" + precision, "train");
    const std::vector<double> validated = losses("learns" + precision, "validation");
    ASSERT_GE(found.size(), 3U);
    ASSERT_FALSE(validated.empty());
    if (reference.empty()) reference = found, validation = validated;
    ASSERT_EQ(found.size(), reference.size());
    // In fp16 the first steps look for a loss scale: what they leave out comes later.
    for (std::size_t i = precision == "fp16" ? found.size() - 1 : 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], reference[i], 0.05 + 0.05 * reference[i]) << precision << ", record " << i;
    EXPECT_NEAR(validated.back(), validation.back(), 0.1) << precision;
    EXPECT_LT(found.back(), 0.5 * found.front()) << precision;
  }
}

TEST_F(Precision, EvaluatesInThePrecisionOfTheTraining) {
  ASSERT_EQ(train(1, "evaluated", with(kMlp, "--precision=bf16")).status, 0);
  std::string first;
  for (int ranks = 1; ranks <= 2; ++ranks) {
    const Outcome outcome = run_command(std::string(CONVOY_MPIRUN) + " -n " + std::to_string(ranks) + " '" + CONVOY_BINARY +
                                        "' evaluate --format=json --checkpoint=" + run_folder("evaluated").string());
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    if (first.empty()) first = outcome.out;
    EXPECT_EQ(outcome.out, first);
  }
  EXPECT_GT(json::parse(first)["top1"], 0.8);
}

TEST_F(Precision, StopsAtANumberThatIsNotFiniteAndNamesTheSample) {
  const Outcome outcome = train(2, "poisoned", with(kMlp, "--precision=bf16 --inject=nan:sample=17"));
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_NE(outcome.err.find("sample 17"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("prepare"), std::string::npos) << outcome.err;
}

TEST_F(Precision, PlansFewerBytesForActivations) {
  const auto activations = [](const std::string& precision) {
    const Outcome outcome = convoy_with("plan --format=json --data.path=" + (folder_->path() / "data").string() + " " +
                                        with(kResNet, "--precision=" + precision));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return json::parse(outcome.out)["bytes_per_rank"]["activations"].get<double>();
  };
  EXPECT_LT(activations("bf16"), 0.75 * activations("fp32"));
}

TEST_F(Precision, IsAGpusWhereItIsTf32) {
  const Outcome outcome = train(1, "tf32", with(kMlp, "--precision=tf32 --device=cpu"));
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.err.find("GPU"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace convoy
