// convoy evaluate: means over models and views.
#include <cmath>

#include "training_fixture.h"

namespace convoy {
namespace {

class Evaluation : public Training {
 protected:
  /// Two nets that see 24 x 24 of the 28 x 28 pixels.
  static void SetUpTestSuite() {
    Training::SetUpTestSuite();
    const std::string common = "--model.name=mlp --train.batch=40 --train.epochs=1 --data.crop=24 ";
    ASSERT_EQ(train(2, "a", common + "--optim.rate=0.02").status, 0);
    ASSERT_EQ(train(2, "b", common + "--optim.rate=0.03 --seed=2").status, 0);
  }

  static Outcome evaluate(const std::string& models, const std::string& options, int ranks = 1) {
    std::string paths;
    for (char model : models) paths += " " + run_folder(std::string(1, model)).string();
    return run_command(std::string(CONVOY_MPIRUN) + " -n " + std::to_string(ranks) + " '" + CONVOY_BINARY +
                       "' evaluate --format=json --output=" + (folder_->path() / "pictures").string() + " --checkpoint" +
                       paths + " " + options);
  }
  static json scores(const std::string& models, const std::string& options) {
    const Outcome outcome = evaluate(models, options);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.status ? json() : json::parse(outcome.out);
  }
};

TEST_F(Evaluation, AveragesModelsAndShowsEach) {
  const json a = scores("a", ""), b = scores("b", ""), both = scores("ab", "");
  ASSERT_EQ(both["models"].size(), 2U);
  for (const char* score : {"loss", "top1", "top5"}) {
    EXPECT_EQ(both["models"][0][score], a[score]);
    EXPECT_EQ(both["models"][1][score], b[score]);
  }
  // Mirrored digits are strange to the nets, so little is asked of the views below. -log is convex: the mean's loss is below the mean of the losses, by Jensen's inequality.
  EXPECT_LT(both["loss"].get<double>(), (a["loss"].get<double>() + b["loss"].get<double>()) / 2);
  EXPECT_NE(both["loss"], a["loss"]);
}

TEST_F(Evaluation, OfAModelWithItselfIsThatModel) {
  const json once = scores("a", ""), twice = scores("aa", "");
  EXPECT_EQ(once["top1"], twice["top1"]);
  EXPECT_NEAR(once["loss"].get<double>(), twice["loss"].get<double>(), 1e-5);
  EXPECT_EQ(once["confusion"], twice["confusion"]);
}

TEST_F(Evaluation, GivesTheSameNumbersOnOneToThreeRanks) {
  for (const char* crops : {"--crops=10", "--crops=dense"}) {
    const std::string first = evaluate("ab", crops).out;
    EXPECT_EQ(evaluate("ab", crops, 2).out, first);
    EXPECT_EQ(evaluate("ab", std::string(crops) + " --device.threads=3", 3).out, first);
    const json result = json::parse(first);
    EXPECT_GT(result["top1"].get<double>(), 0.3) << crops;
    EXPECT_NE(result["loss"], scores("ab", "")["loss"]) << crops;
  }
}

TEST_F(Evaluation, SaysWhatDoesNotFit) {
  ASSERT_EQ(train(1, "c", "--model.name=mlp --model.classes=12 --train.batch=40 --train.steps=2 --data.crop=24").status, 0);
  Outcome outcome = evaluate("ac", "");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.err.find("has 10 classes and"), std::string::npos) << outcome.err;
  const std::string view = "--model.name=mlp --train.batch=40 --train.steps=2 --data.size=24 --data.resize-short=";
  ASSERT_EQ(train(1, "e", view + "24").status, 0);
  ASSERT_EQ(train(1, "f", view + "28").status, 0);
  outcome = evaluate("ef", "");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.err.find("data.resize-short = '24'"), std::string::npos) << outcome.err;
  ASSERT_EQ(train(1, "d", "--model.name=mlp --train.batch=40 --train.steps=2").status, 0);
  outcome = evaluate("d", "--crops=10");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.err.find("larger than what the model takes"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace convoy
