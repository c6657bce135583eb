// convoy checkpoint import and export.
#include <gtest/gtest.h>

#include "io/safetensors.h"
#include "launch/expect_message.h"
#include "launch/run_command.h"
#include "launch/small_digits.h"

namespace convoy {
namespace {

/// lenet-5, trained for two steps: a network that torchvision lacks, with constants.
class TransferCommand : public testing::Test {
 protected:
  void SetUp() override {
    write_small_digits(folder_.path(), "train", 64);
    write_small_digits(folder_.path(), "t10k", 64);
    ASSERT_EQ(convoy("data import --from=idx --input=. --output=data").status, 0);
    ASSERT_EQ(convoy("train --data.path=data --model.name=lenet-5 --train.batch=32 --train.steps=2 --run=lenet").status, 0);
    ASSERT_EQ(convoy("checkpoint export runs/lenet --to=safetensors --output=lenet.st").status, 0);
  }
  Outcome convoy(const std::string& words) { return run_command(std::string("'") + CONVOY_BINARY + "' " + words, folder_.path()); }

  TemporaryFolder folder_;
};

TEST_F(TransferCommand, WhatWasExportedComesBackWithItsParameters) {
  const Outcome import = convoy("checkpoint import --from=safetensors --input=lenet.st --output=back.h5 --model.name=lenet-5 --image=28x28x1");
  ASSERT_EQ(import.status, 0) << import.err;
  ASSERT_EQ(convoy("checkpoint verify back.h5").status, 0);
  const std::string difference = convoy("checkpoint diff runs/lenet back.h5").out;
  test::expect_parts(difference, {"tensors: 12 of 24 differ", "optimizer/momentum/C1/bias: only in A"});  // the slots alone
  EXPECT_EQ(difference.find("parameters/"), std::string::npos) << difference;
  const Outcome evaluated = convoy("evaluate --checkpoint back.h5 --data.path=data");
  EXPECT_EQ(evaluated.status, 0) << evaluated.err;
  test::expect_parts(convoy("evaluate --checkpoint back.h5").err, {"data.path is missing"});
}

TEST_F(TransferCommand, ConstantsOfAnotherSeedAreBadData) {
  const Outcome import = convoy("checkpoint import --from=safetensors --input=lenet.st --output=back.h5 --model.name=lenet-5 --image=28x28x1 --seed=2");
  EXPECT_EQ(import.status, 3);
  test::expect_parts(import.err, {"output/weights is fixed by the seed"});
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "back.h5"));
}

TEST_F(TransferCommand, WrongUsageAndBadFilesAreToldApart) {
  EXPECT_EQ(convoy("checkpoint export runs/lenet --output=a").status, 2);
  EXPECT_EQ(convoy("checkpoint export runs/lenet --to=onnx").status, 2);
  EXPECT_EQ(convoy("checkpoint import --from=safetensors --input=lenet.st --output=a.h5").status, 2);
  EXPECT_EQ(convoy("checkpoint import --from=safetensors --input=lenet.st --output=a.h5 --model.name=lenet-5 --mean=1,2").status, 2);
  EXPECT_EQ(convoy("checkpoint import --from=safetensors --input=runs/lenet/config.cfg --output=a.h5 --model.name=lenet-5").status, 3);
  EXPECT_EQ(convoy("checkpoint import --from=safetensors --input=lenet.st --output=a.h5 --model.name=mlp").status, 3);
}

TEST_F(TransferCommand, LeNetHasAnOnnxForm) {
  const Outcome outcome = convoy("checkpoint export runs/lenet --to=onnx --output=lenet.onnx");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_GT(std::filesystem::file_size(folder_.path() / "lenet.onnx"), 60000u * 4);
}

}  // namespace
}  // namespace convoy
