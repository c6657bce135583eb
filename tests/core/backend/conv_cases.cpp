#include <fmt/format.h>

#include "core/backend/parity_cases.h"

namespace convoy::test {
namespace {

struct Spec {
  std::string name;
  Shape x;
  ConvAttributes conv;
};

/// Forward, backward data and backward filters of one convolution.
ParityFamily conv_family(const Spec& spec) {
  const ConvAttributes& conv = spec.conv;
  Shape filters = Shape(spec.x.extents()).with(0, conv.channels).with(-1, spec.x[-1] / conv.groups);
  for (int a = 0; a < conv.axes; ++a) filters = filters.with(1 + a, conv.kernel[static_cast<std::size_t>(a)]);
  const Tensor x = random_single(spec.x, 1), f = random_single(filters, 2);
  ParityCase forward{
      spec.name, OpKind::conv, conv, {x, f}, static_cast<double>(filters.elements(1, filters.rank())), {}};
  if (conv.bias) forward.inputs.push_back(random_single({conv.channels}, 3));
  const std::vector<TensorDesc> operands{
      {spec.x, DType::f64}, {filters, DType::f64}, {{conv.channels}, DType::f64}};
  const Shape y = op_def(OpKind::conv).infer(conv, {operands.data(), forward.inputs.size()})[0].shape;
  const Tensor dy = random_single(y, 4);
  ConvAttributes plain = conv;
  plain.activation = ActivationKind::none;
  const ConvBackwardAttributes backward{plain, spec.x};
  const double taps = static_cast<double>(filters.elements(1, filters.rank() - 1));
  const double per_group = static_cast<double>(conv.channels / conv.groups);
  return {forward,
          {spec.name, OpKind::conv_backward_data, backward, {dy, f}, taps * per_group, {}},
          {spec.name,
           OpKind::conv_backward_filters,
           backward,
           {x, dy},
           static_cast<double>(y.elements(0, y.rank() - 1)),
           {}}};
}

ConvAttributes square(std::int64_t channels, std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
  return {.axes = 2,
          .channels = channels,
          .kernel = {kernel, kernel, 1},
          .stride = {stride, stride, 1},
          .pad_low = {pad, pad, 0},
          .pad_high = {pad, pad, 0}};
}

const char* name_of(PadMode mode) {
  switch (mode) {
    case PadMode::zero:
      return "zero";
    case PadMode::reflect:
      return "reflect";
    case PadMode::symmetric:
      return "symmetric";
    case PadMode::replicate:
      return "replicate";
  }
  return "";
}

void add_padding_modes(std::vector<Spec>& specs) {
  for (const PadMode mode : {PadMode::zero, PadMode::reflect, PadMode::symmetric, PadMode::replicate}) {
    ConvAttributes two = square(5, 3, 1, 1);
    two.pad_mode = mode;
    two.pad_low = {2, 1, 0};
    specs.push_back({fmt::format("2d {}", name_of(mode)), {2, 7, 6, 3}, two});
    two.stride = {2, 3, 1};
    two.dilation = {1, 2, 1};
    two.activation = ActivationKind::relu;
    specs.push_back({fmt::format("2d {} strided dilated relu", name_of(mode)), {3, 9, 11, 4}, two});
    specs.push_back({fmt::format("1d {}", name_of(mode)),
                     {2, 9, 3},
                     {.axes = 1,
                      .channels = 4,
                      .kernel = {5, 1, 1},
                      .stride = {2, 1, 1},
                      .pad_mode = mode,
                      .pad_low = {2, 0, 0},
                      .pad_high = {1, 0, 0}}});
    specs.push_back({fmt::format("3d {}", name_of(mode)),
                     {2, 4, 5, 6, 3},
                     {.axes = 3,
                      .channels = 6,
                      .kernel = {3, 2, 3},
                      .stride = {1, 2, 1},
                      .pad_mode = mode,
                      .pad_low = {1, 1, 1},
                      .pad_high = {1, 0, 1}}});
  }
}

void add_groups(std::vector<Spec>& specs) {
  for (const std::int64_t groups : {2, 4, 8}) {
    ConvAttributes conv = square(16, 3, 1, 1);
    conv.groups = groups;
    specs.push_back({fmt::format("{} groups", groups), {2, 6, 7, 8}, conv});
    conv.channels = groups * 3;
    conv.bias = false;
    specs.push_back({fmt::format("{} groups of odd width", groups), {1, 6, 7, groups}, conv});
  }
  specs.push_back({"1d groups", {2, 8, 6}, {.axes = 1, .channels = 4, .kernel = {3, 1, 1}, .groups = 2}});
  specs.push_back({"3d groups", {1, 4, 4, 4, 6}, {.axes = 3, .channels = 4, .kernel = {2, 2, 2}, .groups = 2}});
}

/// 3x3 of stride 1 on images whose tiles of 4x4 do not come out even, all paddings, several blocks and groups
/// of tiles.
void add_winograd(std::vector<Spec>& specs) {
  for (const std::int64_t pad : {0, 1, 2}) {
    ConvAttributes conv = square(32, 3, 1, pad);
    conv.activation = ActivationKind::relu;
    specs.push_back({fmt::format("winograd, padding {}", pad), {5, 13, 11, 16}, conv});
    conv.pad_low = {2 - pad, pad, 0};
    specs.push_back({fmt::format("winograd, uneven padding {}", pad), {3, 14, 17, 48}, conv});
  }
  ConvAttributes reflect = square(16, 3, 1, 1);
  reflect.pad_mode = PadMode::reflect;
  specs.push_back({"winograd, reflect", {2, 16, 16, 16}, reflect});
  specs.push_back({"winograd, one row", {20, 1, 40, 16}, square(16, 3, 1, 1)});
  specs.push_back({"winograd, 64 channels", {7, 7, 7, 64}, square(64, 3, 1, 1)});
}

/// Few channels: one input channel with every phase of lanes and channels, short kernel rows with strides and
/// padding.
void add_small(std::vector<Spec>& specs) {
  for (const std::int64_t channels : {2, 3, 5, 6, 8, 16})
    for (const std::int64_t kernel : {3, 5})
      specs.push_back({fmt::format("one channel, {} outputs, kernel {}", channels, kernel),
                       {6, 9, 11, 1},
                       square(channels, kernel, 1, kernel / 2)});
  ConvAttributes relu = square(6, 5, 1, 0);
  relu.activation = ActivationKind::relu;
  relu.pad_low = {3, 0, 0};
  relu.pad_high = {0, 2, 0};
  specs.push_back({"one channel, uneven padding, relu", {9, 8, 30, 1}, relu});
  for (const std::int64_t stride : {1, 2, 3})
    specs.push_back(
        {fmt::format("short kernel row, stride {}", stride), {3, 13, 12, 5}, square(24, 3, stride, 1)});
  ConvAttributes whole = square(20, 5, 1, 0);
  whole.kernel = {4, 6, 1};
  specs.push_back({"kernel as large as the image", {7, 4, 6, 3}, whole});
}

std::vector<ParityFamily> families(const std::vector<Spec>& specs) {
  std::vector<ParityFamily> result;
  for (const Spec& spec : specs) result.push_back(conv_family(spec));
  return result;
}

}  // namespace

std::vector<ParityFamily> conv_grid() {
  std::vector<Spec> specs;
  add_padding_modes(specs);
  add_groups(specs);
  for (const std::int64_t kernel : {1, 2, 3, 5, 7})
    for (const std::int64_t stride : {1, 2})
      specs.push_back({fmt::format("kernel {} stride {}", kernel, stride),
                       {2, 11, 9, 3},
                       square(7, kernel, stride, kernel / 2)});
  ConvAttributes dilated = square(16, 3, 1, 2);
  dilated.dilation = {2, 2, 1};
  specs.push_back({"dilation 2", {2, 10, 10, 16}, dilated});
  dilated.pad_low = dilated.pad_high = {4, 4, 0};
  dilated.dilation = {4, 4, 1};
  dilated.stride = {2, 2, 1};
  specs.push_back({"dilation 4 stride 2", {1, 11, 11, 16}, dilated});
  specs.push_back({"batch 1", {1, 5, 5, 16}, square(16, 3, 1, 1)});
  specs.push_back({"batch 9", {9, 5, 5, 16}, square(16, 3, 1, 1)});
  specs.push_back({"one pixel", {4, 1, 1, 8}, square(8, 1, 1, 0)});
  specs.push_back({"padding wider than the image", {1, 2, 2, 4}, square(4, 3, 1, 3)});
  specs.push_back({"window leaves a rest", {2, 8, 8, 4}, square(4, 3, 3, 0)});
  specs.push_back(
      {"1d wide",
       {4, 40, 32},
       {.axes = 1, .channels = 32, .kernel = {9, 1, 1}, .pad_low = {4, 0, 0}, .pad_high = {4, 0, 0}}});
  specs.push_back(
      {"3d wide",
       {1, 5, 6, 7, 16},
       {.axes = 3, .channels = 16, .kernel = {3, 3, 3}, .pad_low = {1, 1, 1}, .pad_high = {1, 1, 1}}});
  specs.push_back({"many positions", {3, 24, 25, 1}, square(2, 1, 1, 0)});
  specs.push_back({"many outputs", {1, 9, 9, 6}, square(80, 3, 1, 1)});
  add_winograd(specs);
  add_small(specs);
  return families(specs);
}

std::vector<ParityFamily> conv_layers() {
  std::vector<Spec> specs;
  for (const std::int64_t n : {1, 4}) {
    specs.push_back({fmt::format("lenet-5 c1, batch {}", n), {n, 28, 28, 1}, square(6, 5, 1, 2)});
    specs.push_back({fmt::format("lenet-5 c1 of 32x32, batch {}", n), {n, 32, 32, 1}, square(6, 5, 1, 0)});
    specs.push_back({fmt::format("lenet-5 c3, batch {}", n), {n, 14, 14, 6}, square(16, 5, 1, 0)});
    specs.push_back({fmt::format("lenet-5 c5, batch {}", n), {n, 5, 5, 16}, square(120, 5, 1, 0)});
  }
  auto unbiased = [](ConvAttributes conv) {
    conv.bias = false;
    return conv;
  };
  specs.push_back({"resnet-20 conv1 of 28x28x1", {2, 28, 28, 1}, unbiased(square(16, 3, 1, 1))});
  specs.push_back({"resnet-20 conv1 of 32x32x3", {2, 32, 32, 3}, unbiased(square(16, 3, 1, 1))});
  specs.push_back({"resnet-20 stage 1", {3, 28, 28, 16}, unbiased(square(16, 3, 1, 1))});
  specs.push_back({"resnet-20 into stage 2", {2, 28, 28, 16}, unbiased(square(32, 3, 2, 1))});
  specs.push_back({"resnet-20 stage 2", {3, 14, 14, 32}, unbiased(square(32, 3, 1, 1))});
  specs.push_back({"resnet-20 into stage 3", {2, 14, 14, 32}, unbiased(square(64, 3, 2, 1))});
  specs.push_back({"resnet-20 stage 3", {3, 7, 7, 64}, unbiased(square(64, 3, 1, 1))});
  specs.push_back({"resnet-50 conv1", {1, 64, 64, 3}, unbiased(square(64, 7, 2, 3))});
  specs.push_back({"resnet-50 1x1", {1, 14, 14, 64}, unbiased(square(256, 1, 1, 0))});
  specs.push_back({"resnet-50 1x1 stride 2", {1, 14, 14, 128}, unbiased(square(256, 1, 2, 0))});
  specs.push_back({"vgg conv3", {1, 14, 14, 128}, square(128, 3, 1, 1)});
  return families(specs);
}

std::vector<ParityFamily> dense_families() {
  std::vector<ParityFamily> result;
  struct Size {
    std::int64_t n, f, o;
  };
  for (const auto& [n, f, o] : {Size{1, 1, 1},
                                {1, 400, 120},
                                {16, 400, 120},
                                {128, 120, 84},
                                {16, 84, 10},
                                {3, 7, 5},
                                {128, 64, 10},
                                {70, 40, 80},
                                {1100, 7, 5},
                                {5, 784, 300}})
    for (const bool bias : {true, false}) {
      const std::string name = fmt::format("dense {} x {} -> {}{}", n, f, o, bias ? " with bias" : "");
      const Tensor x = random_single({n, f}, 1), w = random_single({o, f}, 2), dy = random_single({n, o}, 3);
      DenseAttributes dense{.units = o, .bias = bias};
      ParityFamily family{{name, OpKind::dense_backward_data, dense, {dy, w}, static_cast<double>(o), {}},
                          {name, OpKind::dense_backward_weights, dense, {x, dy}, static_cast<double>(n), {}}};
      for (const ActivationKind activation : {ActivationKind::none, ActivationKind::relu}) {
        dense.activation = activation;
        ParityCase forward{name, OpKind::dense, dense, {x, w}, static_cast<double>(f), {}};
        if (bias) forward.inputs.push_back(random_single({o}, 4));
        family.push_back(forward);
      }
      result.push_back(family);
    }
  return result;
}

}  // namespace convoy::test
