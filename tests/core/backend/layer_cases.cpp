#include <fmt/format.h>

#include "core/backend/parity_cases.h"

namespace convoy::test {
namespace {

struct PoolSpec {
  std::string name;
  Shape x;
  PoolAttributes pool;
};

/// Values with ties among them, so that the rule for ties is tested too.
Tensor with_ties(Shape shape, std::uint64_t seed) {
  const Tensor whole = random_integers(shape, 9, seed);
  Tensor tensor(shape, DType::f64);
  for (std::size_t i = 0; i < whole.values<std::int32_t>().size(); ++i)
    tensor.values<double>()[i] = whole.values<std::int32_t>()[i] - 4;
  return tensor;
}

ParityFamily pool_family(const PoolSpec& spec, bool ties) {
  const std::string name = fmt::format("{}{}", spec.name, ties ? ", ties" : "");
  const Tensor x = ties ? with_ties(spec.x, 1) : random_single(spec.x, 1);
  std::int64_t window = 1;
  for (int a = 0; a < spec.pool.axes; ++a)
    window *= spec.pool.global ? spec.x[1 + a] : spec.pool.kernel[static_cast<std::size_t>(a)];
  const ParityCase forward{name, OpKind::pool, spec.pool, {x}, static_cast<double>(window), {}};
  const std::vector<Tensor> y = run_reference(forward);
  PoolAttributes backward = spec.pool;
  backward.input = spec.x;
  ParityCase gradient{
      name, OpKind::pool_backward, backward, {random_single(y[0].shape(), 2)}, static_cast<double>(window), {}};
  if (spec.pool.kind != PoolKind::average) gradient.inputs.push_back(y[1]);
  return {forward, gradient};
}

std::vector<PoolSpec> pool_specs(PoolKind kind) {
  std::vector<PoolSpec> specs{
      {"2x2", {2, 8, 8, 16}, {.kernel = {2, 2, 1}, .stride = {2, 2, 1}}},
      {"lenet-5 s2", {2, 28, 28, 6}, {.kernel = {2, 2, 1}, .stride = {2, 2, 1}}},
      {"overlapping, padded",
       {2, 11, 9, 5},
       {.kernel = {3, 3, 1}, .stride = {2, 2, 1}, .pad_low = {1, 1, 0}, .pad_high = {1, 1, 0}}},
      {"overlapping, ceil", {1, 12, 11, 33}, {.kernel = {3, 3, 1}, .stride = {2, 2, 1}, .ceil = true}},
      {"ceil beyond the padding",
       {1, 10, 10, 3},
       {.kernel = {5, 4, 1}, .stride = {4, 3, 1}, .pad_low = {1, 0, 0}, .pad_high = {0, 1, 0}, .ceil = true}},
      {"same size",
       {3, 7, 6, 20},
       {.kernel = {5, 3, 1}, .stride = {1, 1, 1}, .pad_low = {2, 1, 0}, .pad_high = {2, 1, 0}}},
      {"gaps between windows", {1, 9, 9, 2}, {.kernel = {2, 1, 1}, .stride = {3, 2, 1}}},
      {"1d", {3, 17, 7}, {.axes = 1, .kernel = {4, 1, 1}, .stride = {3, 1, 1}, .pad_low = {1, 0, 0}}},
      {"3d",
       {2, 5, 6, 7, 3},
       {.axes = 3, .kernel = {2, 3, 2}, .stride = {2, 1, 2}, .pad_low = {0, 1, 1}, .pad_high = {1, 1, 0}}},
      {"large window", {1, 40, 40, 3}, {.kernel = {20, 20, 1}, .stride = {10, 10, 1}}},
      {"global", {4, 7, 7, 64}, {.global = true}},
      {"global of one axis", {2, 300, 5}, {.axes = 1, .global = true}},
      {"global of three axes", {2, 3, 4, 5, 6}, {.axes = 3, .global = true}},
      {"global of a large image", {2, 20, 17, 16}, {.global = true}},
      {"kernel as large as a large image", {1, 18, 15, 8}, {.kernel = {18, 15, 1}}},
  };
  for (PoolSpec& spec : specs) spec.pool.kind = kind;
  if (kind != PoolKind::average) return specs;
  const std::size_t count = specs.size();
  for (std::size_t i = 0; i < count; ++i) {
    specs.push_back(specs[i]);
    specs.back().name += ", padding counted";
    specs.back().pool.count_padding = true;
  }
  return specs;
}

ParityFamily batch_norm_family(const std::string& name, Shape shape, double offset, double spread) {
  Tensor x = random_single(shape, 1);
  for (double& v : x.values<double>()) v = offset + spread * v;
  x = rounded(x);
  const Shape channels{shape[-1]};
  const Tensor gamma = random_single(channels, 2), beta = random_single(channels, 3);
  const double rows = static_cast<double>(shape.elements() / shape[-1]);
  // x - mean has the rounding error of the mean, which is offset / spread times larger after the division.
  const double length = rows * (1 + offset * offset / (spread * spread));
  const Tensor residual = random_single(shape, 7);
  ParityFamily family;
  for (const auto& [activation, with_residual] : {std::pair(ActivationKind::none, false), std::pair(ActivationKind::none, true),
                                                  std::pair(ActivationKind::relu, false), std::pair(ActivationKind::relu, true)}) {
    const BatchNormAttributes attributes{.activation = activation, .residual = with_residual};
    ParityCase forward{name, OpKind::batch_norm, attributes, {x, gamma, beta}, length, {}};
    ParityCase inference{name,
                         OpKind::batch_norm_inference,
                         attributes,
                         {x, gamma, beta, random_single(channels, 5), positive_single(channels, 6)},
                         1,
                         {}};
    if (with_residual)
      for (ParityCase* c : {&forward, &inference}) c->inputs.push_back(residual);
    family.push_back(forward);
    family.push_back(inference);
    if (with_residual && activation == ActivationKind::none) continue;  // dresidual would be dy: no such op
    const std::vector<Tensor> results = run_reference(forward);
    ParityCase backward{
        name,       OpKind::batch_norm_backward,
        attributes, {x, gamma, rounded(results[1]), rounded(results[2]), random_single(shape, 4)},
        length,     {}};
    if (activation == ActivationKind::relu) backward.inputs.push_back(rounded(results[0]));
    family.push_back(backward);
  }
  return family;
}

/// A micro-batch among `parts`; the others' sums are made up.
ParityFamily global_batch_norm_family(const std::string& name, Shape shape, double offset, double spread, std::int64_t parts) {
  Tensor x = random_single(shape, 1);
  for (double& v : x.values<double>()) v = offset + spread * v;
  x = rounded(x);
  const Shape channels{shape[-1]}, pairs{2 * shape[-1]};
  const Tensor gamma = random_single(channels, 2), beta = random_single(channels, 3);
  Tensor k = random_single(channels, 7);
  for (double& v : k.values<double>()) v = offset + 0.1 * spread * v;
  k = rounded(k);
  const double length = static_cast<double>(shape.elements() / shape[-1]) * (1 + offset * offset / (spread * spread));
  const ParityCase moments{name, OpKind::batch_norm_moments, {}, {x, k}, length, {}};
  Tensor sums = run_reference(moments)[0];
  for (double& v : sums.values<double>()) v *= static_cast<double>(parts);
  sums = rounded(sums);
  ParityFamily family{moments};
  for (const ActivationKind activation : {ActivationKind::none, ActivationKind::relu})
    family.push_back({name, OpKind::batch_norm_global,
                      GlobalBatchNormAttributes{.micro_batches = parts, .activation = activation}, {x, gamma, beta, k, sums},
                      length, {}});
  const std::vector<Tensor> results = run_reference(family[1]);
  const Tensor mean = rounded(results[1]), inverse = rounded(results[2]), dy = random_single(shape, 4);
  family.push_back({name, OpKind::batch_norm_global_sums, {}, {x, mean, inverse, dy}, length, {}});
  family.push_back({name, OpKind::batch_norm_global_backward, GlobalBatchNormAttributes{.micro_batches = parts},
                    {x, gamma, mean, inverse, random_single(pairs, 5), dy}, length, {}});
  return family;
}

}  // namespace

std::vector<ParityFamily> global_batch_norm_families() {
  return {
      global_batch_norm_family("resnet-20 stage 1", {8, 28, 28, 16}, 0, 1, 8),
      global_batch_norm_family("resnet-20 stage 2", {8, 14, 14, 32}, 0.5, 1, 3),
      global_batch_norm_family("1 channel", {3, 31, 17, 1}, 0, 1, 1),
      global_batch_norm_family("6 channels", {2, 28, 28, 6}, 0, 1, 2),
      global_batch_norm_family("512 channels", {2, 7, 7, 512}, 0, 1, 4),
      global_batch_norm_family("dense layer", {16, 300}, 0, 1, 8),
      global_batch_norm_family("volume", {2, 4, 5, 6, 20}, 0, 1, 8),
      global_batch_norm_family("far from zero", {4, 9, 9, 24}, 20, 1, 8),
  };
}

std::vector<ParityFamily> pool_families() {
  std::vector<ParityFamily> families;
  for (const PoolKind kind : {PoolKind::max, PoolKind::min, PoolKind::average})
    for (const PoolSpec& spec : pool_specs(kind))
      for (const bool ties : {false, true}) families.push_back(pool_family(spec, ties));
  return families;
}

std::vector<ParityFamily> batch_norm_families() {
  return {
      batch_norm_family("resnet-20 stage 1", {8, 28, 28, 16}, 0, 1),
      batch_norm_family("resnet-20 stage 2", {8, 14, 14, 32}, 0.5, 1),
      batch_norm_family("resnet-20 stage 3", {8, 7, 7, 64}, 0, 1),
      batch_norm_family("1 channel", {3, 31, 17, 1}, 0, 1),
      batch_norm_family("3 channels", {2, 31, 17, 3}, 0, 1),
      batch_norm_family("6 channels", {2, 28, 28, 6}, 0, 1),
      batch_norm_family("100 channels", {3, 9, 100}, 0, 1),
      batch_norm_family("512 channels", {2, 7, 7, 512}, 0, 1),
      batch_norm_family("dense layer", {16, 300}, 0, 1),
      batch_norm_family("volume", {2, 4, 5, 6, 20}, 0, 1),
      batch_norm_family("two rows", {2, 5}, 0, 1),
      batch_norm_family("33 channels, many rows", {1100, 33}, 0.5, 1),
      batch_norm_family("1 channel, many rows", {36000, 1}, 0, 1),
      batch_norm_family("260 channels", {3, 3, 260}, 0, 1),
      batch_norm_family("515 channels", {5, 515}, 0, 1),
      batch_norm_family("mean far from zero", {4, 20, 20, 16}, 100, 1),
      batch_norm_family("small values", {4, 20, 20, 16}, 0, 0.01),
  };
}

}  // namespace convoy::test
