// Whole runs of networks with what others lack: auxiliary heads, stochastic depth, gates, smoothed labels, told initialisers.
#include <gtest/gtest.h>

#include "expect_message.h"
#include "training_fixture.h"

namespace convoy {
namespace {

const std::string kRun =
    "--train.batch=8 --virtual-workers=4 --train.epochs=1 --train.steps=4 --optim.rate=0.01 --device.threads=1 "
    "--train.label-smoothing=0.1 --train.init=*:xavier-normal";
const std::pair<const char*, const char*> kNetworks[] = {
    {"googlenet", "--model.name=googlenet --model.stem=3x3 --model.width=0.06 --data.crop=12 --optim.average=ema"},
    {"stochastic-depth", "--model.name=resnet-20 --model.stochastic-depth=0.5 --data.crop=12"},
    {"highway", "--model.name=highway-10 --model.gate-bias=-1"}};

TEST_F(Training, OfNetworksWithHeadsPathsAndGatesGivesTheSameBitsOnAnyRanks) {
  for (const auto& [name, options] : kNetworks) {
    for (int ranks = 1; ranks <= 3; ++ranks) {
      const Outcome outcome = train(ranks, name + std::to_string(ranks), kRun + " " + options);
      ASSERT_EQ(outcome.status, 0) << outcome.err;
      EXPECT_EQ(digest(name + std::to_string(ranks)), digest(name + std::string("1"))) << name << " on " << ranks << " ranks";
    }
  }
}

TEST_F(Training, OfAuxiliaryHeadsLeavesThemOutOfWhatIsEvaluatedAndExported) {
  ASSERT_EQ(train(1, "heads", kRun + " " + kNetworks[0].second).status, 0);
  const std::string heads = run_folder("heads").string();
  EXPECT_NE(convoy_with("checkpoint show " + heads + "/checkpoints/latest").out.find("aux1/"), std::string::npos);
  for (const char* weights : {"last", "average"}) {
    const Outcome evaluated = convoy_with("evaluate --checkpoint=" + heads + " --weights=" + weights);
    EXPECT_EQ(evaluated.status, 0) << evaluated.err;
  }
  const Outcome exported = convoy_with("checkpoint export " + heads + " --to=safetensors --output=" + heads + "/heads.safetensors");
  EXPECT_EQ(exported.status, 0) << exported.err;
}

TEST_F(Training, RefusesInitialisersThatAreNone) {
  for (const char* text : {"*:xavier(1)", "*:gauss", "xavier", "*:gaussian(0)", "nosuchlayer:he"}) {
    const Outcome outcome = train(1, "refused", with(kRun, std::string("--train.init=") + text) + " --model.name=mlp");
    EXPECT_EQ(outcome.status, 2) << text;
    test::expect_parts(outcome.err, {"train.init"});
  }
}

}  // namespace
}  // namespace convoy
