// The logits of networks that torchvision also has, in torchvision, convoy and onnxruntime: see logits_parity.py. A few small
// ones here, all of them with the label long.
#include <gtest/gtest.h>

#include <cstdlib>

#include "launch/run_command.h"

namespace convoy {
namespace {

struct Case {
  const char *twin, *pixels, *options;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.twin; }

class LogitsParity : public testing::TestWithParam<Case> {};

TEST_P(LogitsParity, IsTorchvisions) {
  const TemporaryFolder folder;
  const std::string built = CONVOY_PEER_PYTHON, python = std::filesystem::exists(built) ? built : "/usr/bin/python3";
  const Outcome outcome = run_command("'" + python + "' '" CONVOY_SOURCE "/tests/launch/logits_parity.py' '" CONVOY_BINARY "' '" +
                                          folder.path().string() + "' " + GetParam().twin + " " + GetParam().pixels + " 10 " +
                                          GetParam().options,
                                      ".", 300);
  if (outcome.status == 77 || outcome.status == 127) GTEST_SKIP() << outcome.out << outcome.err;
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  std::fputs(outcome.out.c_str(), stdout);
}

std::string name_of_case(const testing::TestParamInfo<Case>& info) { return info.param.twin; }

#ifdef CONVOY_ALL_TWINS
INSTANTIATE_TEST_SUITE_P(All, LogitsParity,
                         testing::Values(Case{"resnet34", "64", "--model.name=resnet-34"},
                                         Case{"alexnet", "224", "--model.name=alexnet-2014"},
                                         Case{"resnet101", "64", "--model.name=resnet-101 --model.stride-on=3x3"},
                                         Case{"resnet152", "64", "--model.name=resnet-152 --model.stride-on=3x3"},
                                         Case{"wide_resnet50_2", "64", "--model.name=wide-resnet-50-2"},
                                         Case{"densenet161", "64", "--model.name=densenet-161"},
                                         Case{"densenet169", "64", "--model.name=densenet-169"},
                                         Case{"densenet201", "64", "--model.name=densenet-201"},
                                         Case{"vgg11", "224", "--model.name=vgg-11"}, Case{"vgg13", "224", "--model.name=vgg-13"},
                                         Case{"vgg16", "224", "--model.name=vgg-16"}, Case{"vgg19", "224", "--model.name=vgg-19"},
                                         Case{"vgg11_bn", "224", "--model.name=vgg-11 --model.normalization=batch-norm"},
                                         Case{"vgg13_bn", "224", "--model.name=vgg-13 --model.normalization=batch-norm"},
                                         Case{"vgg16_bn", "224", "--model.name=vgg-16 --model.normalization=batch-norm"},
                                         Case{"vgg19_bn", "224", "--model.name=vgg-19 --model.normalization=batch-norm"}),
                         name_of_case);
#else
INSTANTIATE_TEST_SUITE_P(Some, LogitsParity,
                         testing::Values(Case{"resnet18", "64", "--model.name=resnet-18"},
                                         Case{"resnet50", "64", "--model.name=resnet-50 --model.stride-on=3x3"},
                                         Case{"densenet121", "64", "--model.name=densenet-121"},
                                         Case{"googlenet", "64", "--model.name=googlenet --model.variant=library"}),
                         name_of_case);
#endif

}  // namespace
}  // namespace convoy
