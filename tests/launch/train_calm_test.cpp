// Normal training on more ranks than cores: the live watch has nothing to say.
#include "training_fixture.h"

namespace convoy {
namespace {

using CalmTraining = Training;

TEST_F(CalmTraining, OnFourOversubscribedRanksRaisesNoAlarm) {
  const std::string options =
      "--model.name=lenet-5 --train.batch=40 --virtual-workers=8 --train.epochs=1000000 --optim.rate=0.01 --device.threads=2 "
      "--checkpoint.every-steps=50";
  const Outcome outcome = run_command("timeout --foreground --preserve-status -s USR2 " + std::to_string(CONVOY_CALM_SECONDS) +
                                          " " CONVOY_MPIRUN " -n 4 " + command("calm", options),
                                      ".", CONVOY_CALM_SECONDS + 90);
  EXPECT_EQ(outcome.status, 75) << outcome.err;
  EXPECT_EQ(outcome.err.find("[watch]"), std::string::npos) << outcome.err;
  EXPECT_GT(status("calm")["step"], 0);
}

}  // namespace
}  // namespace convoy
