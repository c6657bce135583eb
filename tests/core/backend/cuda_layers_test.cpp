// What parity does not show of the cuda backend's own kernels, on an emulated device: bits that equal the
// cpu's, labels and logits that should not be, places of elements, padding by copies as the libraries' wrappers
// use it.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/backend/cuda/index.h"
#include "core/backend/cuda/padding.h"
#include "core/backend/parity_cases.h"
#include "core/ops/window.h"
#include "core/tensor/narrow.h"
#include "support/emulated_cuda.h"
#include "support/fused_graph.h"

namespace convoy::test {
namespace {

void expect_the_bits_of_the_cpu(const ParityCase& c) {
  const std::vector<Tensor> expected = run_single(*make_cpu_backend(), c),
                            found = run_single(*make_emulated_cuda_backend(), c);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_EQ(std::memcmp(found[i].bytes(), expected[i].bytes(), found[i].size_bytes()), 0)
        << c.name << ", result " << i;
}

TEST(CudaFuse, ChangesNoBitOfResidualBlocksInF32) { expect_same_bits_fused(*make_emulated_cuda_backend(), DType::f32); }

TEST(CudaDropoutAndPrepare, GiveTheBitsOfTheCpu) {
  for (const ParityFamily& family : data_families())
    for (const ParityCase& c : family) expect_the_bits_of_the_cpu(c);
}

TEST(CudaPool, GivesTheBitsOfTheCpuForMaximaAndTheirGradients) {
  for (const ParityFamily& family : pool_families())
    for (const ParityCase& c : family)
      if (std::get<PoolAttributes>(c.attributes).kind == PoolKind::max) expect_the_bits_of_the_cpu(c);
}

/// Logits of three samples; the second sample's label is `label`.
ParityCase softmax_case(std::int32_t label, int classes) {
  Tensor labels({3}, DType::i32), weights({3}, DType::f64);
  for (double& w : weights.values<double>()) w = 1;
  labels.values<std::int32_t>()[1] = label;
  return {"label " + std::to_string(label),
          OpKind::softmax_cross_entropy,
          LossAttributes{},
          {random_single({3, classes}, 1), labels, weights},
          1,
          {}};
}

TEST(CudaSoftmax, GivesNoNumberForALabelBeyondTheClasses) {
  const auto backend = make_emulated_cuda_backend();
  for (const int classes : {4, 40})
    for (const std::int32_t label : {-1, classes, std::numeric_limits<std::int32_t>::max()}) {
      const ParityCase c = softmax_case(label, classes);
      const std::vector<Tensor> found = run_single(*backend, c);
      EXPECT_TRUE(std::isnan(found[0].values<float>()[0])) << c.name;
      const auto losses = found[2].values<float>();
      EXPECT_TRUE(std::isfinite(losses[0]) && std::isnan(losses[1]) && std::isfinite(losses[2])) << c.name;
      ParityCase backward = c;
      backward.kind = OpKind::softmax_cross_entropy_backward;
      const std::vector<Tensor> result = run_single(*backend, backward);
      const auto gradient = result[0].values<float>();
      for (int i = 0; i < 3 * classes; ++i)
        EXPECT_EQ(std::isnan(gradient[static_cast<std::size_t>(i)]), i / classes == 1)
            << c.name << ", element " << i;
      ParityCase top = c;
      top.kind = OpKind::top_k;
      top.attributes = TopKAttributes{2};
      EXPECT_TRUE(std::isnan(run_single(*backend, top)[0].values<float>()[0])) << c.name;
    }
}

TEST(Softmax, GivesNoNumberForALogitThatIsNone) {
  for (const int classes : {4, 40}) {
    ParityCase c = softmax_case(2, classes);
    c.inputs[0].values<double>()[static_cast<std::size_t>(classes) + 1] =
        std::numeric_limits<double>::quiet_NaN();
    for (const auto& backend : {make_cpu_backend(), make_emulated_cuda_backend()}) {
      const std::vector<Tensor> found = run_single(*backend, c);
      EXPECT_TRUE(std::isnan(found[0].values<float>()[0])) << backend->name() << ", " << classes << " classes";
      EXPECT_TRUE(std::isfinite(found[2].values<float>()[0]))
          << backend->name() << ", " << classes << " classes";
    }
  }
}

TEST(CudaLosses, MultiplyTheirGradientByALossScale) {
  const auto backend = make_emulated_cuda_backend();
  for (const ParityFamily& family : loss_families())
    for (const ParityCase& c : family) {
      if (c.kind != OpKind::softmax_cross_entropy_backward && c.kind != OpKind::binary_cross_entropy_backward &&
          c.kind != OpKind::mean_squared_backward)
        continue;
      ParityCase scaled = c;
      scaled.inputs.resize(3);
      scaled.inputs.emplace_back(Shape{1}, DType::f64);
      scaled.inputs[3].values<double>()[0] = 4096;
      ParityCase plain = c;
      plain.inputs.resize(3);
      const std::vector<Tensor> found = run_single(*backend, scaled), expected = run_single(*backend, plain);
      for (std::size_t i = 0; i < found[0].values<float>().size(); ++i)
        ASSERT_EQ(found[0].values<float>()[i], 4096 * expected[0].values<float>()[i])
            << c.name << ", element " << i;
    }
}

TEST(CudaDivisor, DividesAllNumbersOf31Bits) {
  std::uint64_t state = 1;
  const auto draw = [&] {
    return static_cast<std::uint32_t>((state = state * 6364136223846793005u + 1) >> 33);
  };
  std::vector<std::uint32_t> numbers{0, 1, 2, 3, 0x3fffffff, 0x40000000, 0x40000001, 0x7ffffffe, 0x7fffffff};
  std::vector<std::uint32_t> divisors{1,   2,          3,          5,          7,          64,        224,
                                      641, 0x3fffffff, 0x40000000, 0x40000001, 0x7ffffffe, 0x7fffffff};
  for (int i = 0; i < 300; ++i) numbers.push_back(draw()), divisors.push_back(std::max(1u, draw() >> (i % 31)));
  for (const std::uint32_t d : divisors) {
    const cuda::Divisor divisor(d);
    for (std::uint32_t n : numbers)
      for (const std::uint32_t near : {n, n / d * d, n / d * d + (d - 1)}) {
        if (near > 0x7fffffffu) continue;
        std::uint32_t quotient = near;
        ASSERT_EQ(divisor.take(quotient), near % d) << near << " / " << d;
        ASSERT_EQ(quotient, near / d) << near << " / " << d;
      }
  }
}

TEST(CudaLaunches, TakeWholeSamplesAndNoMoreItemsThanFit) {
  for (const std::int64_t items :
       {std::int64_t{1}, std::int64_t{1000}, cuda::kMostItems / 3, cuda::kMostItems / 8})
    for (const std::int64_t step : {1, 8}) {
      if (items * step > cuda::kMostItems) continue;
      std::int64_t next = 0;
      cuda::for_samples(
          20, items,
          [&](std::int64_t first, std::int64_t count) {
            EXPECT_EQ(first, next);
            EXPECT_EQ(first % step, 0);
            EXPECT_LE(count * items, cuda::kMostItems);
            next = first + count;
          },
          step);
      EXPECT_EQ(next, 20) << items << " items, step " << step;
    }
}

/// Whole numbers, exact in every type.
std::vector<std::uint16_t> small_bf16(std::int64_t n) {
  std::vector<std::uint16_t> values;
  for (std::int64_t i = 0; i < n; ++i) values.push_back(to_bf16(static_cast<float>(i * 7 % 5 - 2)).bits);
  return values;
}

class CudaPadding : public testing::TestWithParam<std::tuple<PadMode, std::int64_t>> {};

TEST_P(CudaPadding, CopiesAndItsGradientAddsBack) {
  const auto [mode, c] = GetParam();
  const PerAxis in{3, 4, 5}, low{2, 0, 3}, high{1, 3, 4};
  const std::int64_t n = 2;
  const cuda::CopiedPadding padding(mode, n, c, in, low, high);
  const PerAxis out = padding.padded();
  const auto backend = make_emulated_cuda_backend();
  Device& device = backend->device();
  const auto stream = static_cast<cudaStream_t>(device.native_stream(Stream::compute));
  const auto x = small_bf16(n * 3 * 4 * 5 * c), dpadded = small_bf16(n * out[0] * out[1] * out[2] * c);
  const DeviceMemory x_at = device.allocate(2 * x.size()), padded_at = device.allocate(2 * dpadded.size());
  std::vector<std::uint16_t> padded(dpadded.size()), dx(x.size());
  device.copy(Stream::compute, x_at.get(), x.data(), 2 * x.size());
  padding.pad(DType::bf16, x_at.get(), padded_at.get(), stream);
  device.copy(Stream::compute, padded.data(), padded_at.get(), 2 * padded.size());
  device.copy(Stream::compute, padded_at.get(), dpadded.data(), 2 * dpadded.size());
  padding.add_back(DType::bf16, DType::bf16, padded_at.get(), x_at.get(), stream);
  device.copy(Stream::compute, dx.data(), x_at.get(), 2 * dx.size());
  device.synchronize(Stream::compute);

  std::vector<float> sums(x.size());
  std::size_t at = 0;
  for (std::int64_t sample = 0; sample < n; ++sample)
    for (std::int64_t i = 0; i < out[0]; ++i)
      for (std::int64_t j = 0; j < out[1]; ++j)
        for (std::int64_t k = 0; k < out[2]; ++k) {
          const std::int64_t p0 = source_index(i - low[0], in[0], mode),
                             p1 = source_index(j - low[1], in[1], mode),
                             p2 = source_index(k - low[2], in[2], mode);
          for (std::int64_t channel = 0; channel < c; ++channel, ++at) {
            const auto from = static_cast<std::size_t>((((sample * 3 + p0) * 4 + p1) * 5 + p2) * c + channel);
            ASSERT_EQ(padded[at], x[from]) << "padded element " << at;
            sums[from] += to_float(Bf16{dpadded[at]});
          }
        }
  for (std::size_t i = 0; i < dx.size(); ++i)
    ASSERT_EQ(dx[i], to_bf16(sums[i]).bits) << "element " << i << " of dx";
}

INSTANTIATE_TEST_SUITE_P(Modes, CudaPadding,
                         testing::Combine(testing::Values(PadMode::reflect, PadMode::symmetric,
                                                          PadMode::replicate),
                                          testing::Values(std::int64_t{3}, std::int64_t{8})));

}  // namespace
}  // namespace convoy::test
