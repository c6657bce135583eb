#include "core/backend/cuda/conv_problem.h"

#include <gtest/gtest.h>

#include <set>

namespace convoy::cuda {
namespace {

using Extents = std::vector<std::int64_t>;

OpDesc conv_of(const ConvAttributes& conv, const Shape& x, const Shape& y, DType type = DType::f32) {
  std::vector<std::int64_t> filters{conv.channels};
  filters.insert(filters.end(), conv.kernel.begin(), conv.kernel.begin() + conv.axes);
  filters.push_back(x[-1] / conv.groups);
  OpDesc op{OpKind::conv, conv, {{x, type}, {Shape(filters), type}}, {{y, type}}, {}};
  if (conv.bias) op.inputs.push_back({Shape{conv.channels}, DType::f32});
  return op;
}

TEST(ConvProblem, MakesImagesOfOneAxisRowsOfHeightOne) {
  const auto op = conv_of({.axes = 1, .channels = 6, .kernel = {5, 9, 9}, .stride = {2, 9, 9}, .pad_low = {1, 9, 9},
                           .pad_high = {3, 9, 9}},
                          {2, 20, 4}, {2, 10, 6});
  const ConvProblem p = conv_problem_of(op, false);
  EXPECT_EQ(p.axes, 2);
  EXPECT_EQ(x_layout(p).dims, (Extents{2, 4, 1, 20}));
  EXPECT_EQ(filters_layout(p).dims, (Extents{6, 4, 1, 5}));
  EXPECT_EQ(y_layout(p).dims, (Extents{2, 6, 1, 10}));
  EXPECT_EQ(p.stride, (PerAxis{1, 1, 2}));
  EXPECT_EQ(p.pad_low, (PerAxis{0, 0, 1}));
  EXPECT_EQ(p.pad_high, (PerAxis{0, 0, 3}));
}

TEST(ConvProblem, LaysChannelsInnermost) {
  const auto op = conv_of({.axes = 3, .channels = 8, .kernel = {2, 3, 4}, .groups = 2}, {5, 7, 8, 9, 6}, {5, 6, 6, 6, 8});
  const ConvProblem p = conv_problem_of(op, false);
  EXPECT_EQ(x_layout(p).dims, (Extents{5, 6, 7, 8, 9}));
  EXPECT_EQ(x_layout(p).strides, (Extents{7 * 8 * 9 * 6, 1, 8 * 9 * 6, 9 * 6, 6}));
  EXPECT_EQ(filters_layout(p).dims, (Extents{8, 3, 2, 3, 4}));
  EXPECT_EQ(filters_layout(p).strides, (Extents{2 * 3 * 4 * 3, 1, 3 * 4 * 3, 4 * 3, 3}));
  EXPECT_EQ(bias_layout(p).dims, (Extents{1, 8, 1, 1, 1}));
}

TEST(ConvProblem, HasAKeyOfItsOwn) {
  const ConvAttributes plain{.axes = 2, .channels = 8, .kernel = {3, 3, 1}, .pad_low = {1, 1, 0}, .pad_high = {1, 1, 0}};
  std::set<std::string> keys;
  int problems = 0;
  const auto add = [&](const OpDesc& op, bool tf32 = false) {
    keys.insert(key_of(conv_problem_of(op, tf32)));
    ++problems;
  };
  const Shape x{4, 8, 8, 16}, y{4, 8, 8, 8};
  const auto with = [&](auto change) {
    ConvAttributes conv = plain;
    change(conv);
    add(conv_of(conv, x, y));
  };
  add(conv_of(plain, x, y));
  add(conv_of(plain, x, y), true);
  add(conv_of(plain, x, y, DType::bf16));
  add(conv_of(plain, x, y, DType::f16));
  add(conv_of(plain, {2, 8, 8, 16}, {2, 8, 8, 8}));
  with([](auto& conv) { conv.channels = 4; });
  with([](auto& conv) { conv.kernel = {3, 1, 1}; });
  with([](auto& conv) { conv.stride = {2, 1, 1}; });
  with([](auto& conv) { conv.dilation = {1, 2, 1}; });
  with([](auto& conv) { conv.groups = 2; });
  with([](auto& conv) { conv.pad_low = {0, 1, 0}; });
  with([](auto& conv) { conv.pad_high = {0, 1, 0}; });
  with([](auto& conv) { conv.bias = false; });
  const ConvBackwardAttributes backward{plain, x};
  add({OpKind::conv_backward_data, backward, {{y, DType::f32}, {Shape{8, 3, 3, 16}, DType::f32}}, {{x, DType::f32}}, {}});
  add({OpKind::conv_backward_filters, backward, {{x, DType::f32}, {y, DType::f32}}, {{Shape{8, 3, 3, 16}, DType::f32}}, {}});
  EXPECT_EQ(keys.size(), static_cast<std::size_t>(problems));
}

TEST(ConvProblem, Tf32IsOfF32DataOnly) {
  const auto narrow = conv_of({.axes = 2, .channels = 8}, {1, 4, 4, 8}, {1, 4, 4, 8}, DType::bf16);
  EXPECT_EQ(key_of(conv_problem_of(narrow, true)), key_of(conv_problem_of(narrow, false)));
}

TEST(ConvProblem, PadsFewChannelsForTensorCores) {
  ConvProblem p{.c = 3};
  EXPECT_EQ(padded_channels(p), 3) << "no tensor cores in f32";
  p.tf32 = true;
  EXPECT_EQ(padded_channels(p), 4);
  p.tf32 = false;
  p.data = DType::bf16;
  EXPECT_EQ(padded_channels(p), 8);
  p.direction = ConvDirection::backward_filters;
  EXPECT_EQ(padded_channels(p), 8);
  p.direction = ConvDirection::backward_data;
  EXPECT_EQ(padded_channels(p), 3) << "dx would have to lose them again";
  p.direction = ConvDirection::forward;
  p.c = 9;
  EXPECT_EQ(padded_channels(p), 9);
  p.c = p.groups = 4;
  EXPECT_EQ(padded_channels(p), 4) << "groups would no longer hold the same channels";
}

}  // namespace
}  // namespace convoy::cuda
