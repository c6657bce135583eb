// --recompute in whole runs: no bit changes, and a run may change it when it goes on.
#include <gtest/gtest.h>

#include "training_fixture.h"

namespace convoy {
namespace {

const std::string kResNet =
    "--model.name=resnet-20 --train.batch=16 --virtual-workers=4 --train.epochs=1 --train.steps=4 --optim.rate=0.05";

class RecomputeRun : public Training {};

TEST_F(RecomputeRun, ChangesNoBitAndMayChangeAtAResume) {
  ASSERT_EQ(train(1, "kept", kResNet).status, 0);
  for (const std::string what : {"cheap", "blocks"}) {
    ASSERT_EQ(train(2, what, kResNet + " --recompute=" + what).status, 0);
    EXPECT_EQ(digest(what), digest("kept")) << what;
  }
  ASSERT_EQ(train(1, "parts", with(kResNet, "--train.steps=2") + " --recompute=blocks").status, 0);
  const Outcome resumed = train(1, "parts", kResNet + " --resume=latest");
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(digest("parts"), digest("kept"));
}

}  // namespace
}  // namespace convoy
