#include <gtest/gtest.h>

#include "core/ops/window.h"
#include "support/gradient_check.h"

namespace convoy::test {
namespace {

Shape filters_of(const ConvAttributes& a, const Shape& x) {
  std::vector<std::int64_t> extents{a.channels};
  extents.insert(extents.end(), a.kernel.begin(), a.kernel.begin() + a.axes);
  extents.push_back(x[-1] / a.groups);
  return Shape(extents);
}

void check_conv(const ConvAttributes& a, const Shape& x) {
  SCOPED_TRACE(testing::Message() << "x " << x.str() << ", kernel " << a.kernel[0] << " " << a.kernel[1] << " "
                                  << a.kernel[2] << ", stride " << a.stride[0] << " " << a.stride[1]
                                  << ", dilation " << a.dilation[0] << " " << a.dilation[1] << ", groups "
                                  << a.groups << ", pad mode " << static_cast<int>(a.pad_mode) << ", pad "
                                  << a.pad_low[0] << "+" << a.pad_high[0] << " " << a.pad_low[1] << "+"
                                  << a.pad_high[1] << ", bias " << a.bias);
  expect_gradients([&](Graph& graph) {
    std::vector<Value> inputs{graph.add_parameter("x", x, {}),
                              graph.add_parameter("filters", filters_of(a, x), {})};
    if (a.bias) inputs.push_back(graph.add_parameter("bias", {a.channels}, {}));
    return graph.add(OpKind::conv, a, inputs);
  });
}

constexpr PadMode kModes[] = {PadMode::zero, PadMode::reflect, PadMode::symmetric, PadMode::replicate};

TEST(ConvGradient, OneAxisAgreesForEveryPaddingStrideAndDilation) {
  for (PadMode mode : kModes)
    for (std::int64_t stride : {1, 2, 3})
      for (std::int64_t dilation : {1, 2})
        check_conv({.axes = 1,
                    .channels = 3,
                    .kernel = {3},
                    .stride = {stride},
                    .dilation = {dilation},
                    .pad_mode = mode,
                    .pad_low = {2},
                    .pad_high = {1}},
                   {2, 7, 2});
}

TEST(ConvGradient, TwoAxesAgreeForEveryPaddingAndStride) {
  for (PadMode mode : kModes)
    for (std::int64_t stride : {1, 2})
      check_conv({.axes = 2,
                  .channels = 2,
                  .kernel = {3, 2},
                  .stride = {stride, 1},
                  .pad_mode = mode,
                  .pad_low = {1, 0},
                  .pad_high = {2, 1}},
                 {2, 5, 4, 2});
}

TEST(ConvGradient, ThreeAxesAgreeForEveryPadding) {
  for (PadMode mode : kModes)
    check_conv({.axes = 3,
                .channels = 2,
                .kernel = {2, 3, 1},
                .stride = {1, 2, 1},
                .pad_mode = mode,
                .pad_low = {1, 1, 0},
                .pad_high = {0, 1, 1}},
               {1, 3, 4, 2, 2});
}

TEST(ConvGradient, AgreesForGroupsFromOneToDepthwise) {
  for (std::int64_t groups : {1, 2, 4})
    check_conv({.axes = 2, .channels = 4, .kernel = {2, 3}, .groups = groups, .pad_low = {1, 1}}, {2, 3, 4, 4});
}

TEST(ConvGradient, AgreesForAChannelMultiplier) {
  check_conv({.axes = 2, .channels = 6, .kernel = {3, 3}, .groups = 3, .pad_low = {1, 1}, .pad_high = {1, 1}},
             {1, 4, 4, 3});
}

TEST(ConvGradient, AgreesForDilationPerAxis) {
  check_conv({.axes = 2,
              .channels = 2,
              .kernel = {2, 3},
              .stride = {2, 1},
              .dilation = {3, 2},
              .pad_low = {0, 2},
              .pad_high = {1, 2}},
             {1, 6, 5, 2});
}

TEST(ConvGradient, AgreesWhereTheStrideSkipsPixels) {
  check_conv({.axes = 2, .channels = 2, .kernel = {1, 2}, .stride = {3, 3}}, {2, 7, 5, 1});
}

TEST(ConvGradient, AgreesWithoutBias) {
  check_conv({.axes = 2, .channels = 3, .kernel = {1, 1}, .bias = false}, {2, 3, 3, 2});
}

TEST(ConvGradient, AgreesWherePaddingMirrorsAPixelTwice) {
  check_conv(
      {.axes = 1, .channels = 1, .kernel = {5}, .pad_mode = PadMode::reflect, .pad_low = {2}, .pad_high = {2}},
      {1, 3, 1});
}

}  // namespace
}  // namespace convoy::test
