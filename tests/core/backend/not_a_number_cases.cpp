#include <fmt/format.h>

#include <limits>

#include "core/backend/parity_cases.h"

namespace convoy::test {
namespace {

/// Random values with a NaN in the middle.
Tensor with_a_nan(Shape shape, std::uint64_t seed) {
  Tensor tensor = random_single(shape, seed);
  tensor.values<double>()[static_cast<std::size_t>(shape.elements() / 2)] = std::numeric_limits<double>::quiet_NaN();
  return tensor;
}

struct ConvSpec {
  const char* name;
  Shape x;
  ConvAttributes conv;
};

/// The NaN is in the image, or in the bias, where it meets the ReLU without a sum before it.
ParityFamily conv_family(const ConvSpec& spec) {
  Shape filters = Shape(spec.x.extents()).with(0, spec.conv.channels).with(-1, spec.x[-1] / spec.conv.groups);
  for (int a = 0; a < spec.conv.axes; ++a) filters = filters.with(1 + a, spec.conv.kernel[static_cast<std::size_t>(a)]);
  ParityFamily family;
  for (const bool bias : {false, true}) {
    ConvAttributes conv = spec.conv;
    conv.bias = bias;
    conv.activation = ActivationKind::relu;
    ParityCase c{fmt::format("{}, NaN in the image", spec.name), OpKind::conv, conv,
                 {with_a_nan(spec.x, 1), random_single(filters, 2)}, 2, {}};
    if (bias) c.inputs.push_back(random_single({conv.channels}, 3));
    family.push_back(c);
    if (!bias) continue;
    c.name = fmt::format("{}, NaN in the bias", spec.name);
    c.inputs[0] = random_single(spec.x, 1);
    c.inputs[2] = with_a_nan({conv.channels}, 3);
    family.push_back(c);
  }
  return family;
}

ConvAttributes square(std::int64_t channels, std::int64_t kernel, std::int64_t stride, std::int64_t pad) {
  return {.channels = channels, .kernel = {kernel, kernel, 1}, .stride = {stride, stride, 1}, .pad_low = {pad, pad, 0},
          .pad_high = {pad, pad, 0}};
}

ParityFamily dense_family(std::int64_t rows, std::int64_t features, std::int64_t units) {
  ParityFamily family;
  for (const bool bias : {false, true}) {
    ParityCase c{fmt::format("dense {} to {}, NaN in x", features, units), OpKind::dense,
                 DenseAttributes{.units = units, .bias = bias, .activation = ActivationKind::relu},
                 {with_a_nan({rows, features}, 1), random_single({units, features}, 2)}, 2, {}};
    if (bias) c.inputs.push_back(random_single({units}, 3));
    family.push_back(c);
  }
  return family;
}

ParityFamily batch_norm_family(Shape shape) {
  const Shape channels{shape[-1]};
  const BatchNormAttributes attributes{.activation = ActivationKind::relu};
  const Tensor x = with_a_nan(shape, 1), gamma = random_single(channels, 2), beta = random_single(channels, 3);
  return {{"NaN in x", OpKind::batch_norm, attributes, {x, gamma, beta}, 2, {}},
          {"NaN in x", OpKind::batch_norm_inference, attributes,
           {x, gamma, beta, random_single(channels, 4), positive_single(channels, 5)}, 1, {}}};
}

ParityFamily pool_family(PoolKind kind) {
  const PoolAttributes pool{.kind = kind, .kernel = {2, 2, 1}, .stride = {2, 2, 1}};
  ParityFamily family;
  for (const Shape& shape : {Shape{2, 6, 6, 3}, Shape{2, 6, 6, 16}})
    family.push_back({"NaN in x", OpKind::pool, pool, {with_a_nan(shape, 1)}, 2, {}});
  return family;
}

ParityFamily activation_family(Shape shape) {
  ParityFamily family;
  for (const ActivationAttributes& attributes :
       {ActivationAttributes{ActivationKind::relu}, {ActivationKind::tanh}, {ActivationKind::sigmoid},
        {ActivationKind::scaled_tanh}, {ActivationKind::leaky_relu, 0.1}, {ActivationKind::elu, 1},
        {ActivationKind::negative_part}, {ActivationKind::complement}, {ActivationKind::scale, 2}})
    family.push_back({"NaN in x", OpKind::activation, attributes, {with_a_nan(shape, 1)}, 1, {}});
  return family;
}

}  // namespace

std::vector<ParityFamily> not_a_number_families() {
  ConvAttributes grouped = square(8, 3, 1, 1);
  grouped.groups = 4;
  std::vector<ParityFamily> families;
  for (const ConvSpec& spec : std::vector<ConvSpec>{
           {"1x1", {2, 7, 7, 16}, square(32, 1, 1, 0)},
           {"3x3", {2, 8, 8, 16}, square(16, 3, 1, 1)},
           {"3x3 of odd channels", {2, 9, 7, 5}, square(7, 3, 1, 1)},
           {"3x3, stride 2", {2, 8, 8, 16}, square(32, 3, 2, 1)},
           {"5x5 of one channel", {2, 12, 12, 1}, square(6, 5, 1, 0)},
           {"7x7, stride 2, of 3 channels", {1, 16, 16, 3}, square(16, 7, 2, 3)},
           {"groups", {2, 6, 6, 8}, grouped},
           {"3d", {1, 4, 5, 6, 8}, {.axes = 3, .channels = 8, .kernel = {3, 3, 3}, .pad_low = {1, 1, 1}, .pad_high = {1, 1, 1}}}})
    families.push_back(conv_family(spec));
  families.push_back(dense_family(3, 7, 5));
  families.push_back(dense_family(16, 64, 32));
  families.push_back(batch_norm_family({2, 5, 5, 3}));
  families.push_back(batch_norm_family({4, 6, 6, 16}));
  for (const PoolKind kind : {PoolKind::max, PoolKind::min, PoolKind::average}) families.push_back(pool_family(kind));
  families.push_back({{"NaN in x", OpKind::local_response, LocalResponseAttributes{}, {with_a_nan({3, 16}, 1)}, 2, {}},
                      {"NaN in x", OpKind::layer_norm, LayerNormAttributes{}, {with_a_nan({3, 16}, 1)}, 2, {}}});
  families.push_back(activation_family({3, 7}));
  families.push_back(activation_family({2, 6, 6, 16}));
  return families;
}

}  // namespace convoy::test
