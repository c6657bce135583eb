// Stochastic depth and drop-path: which samples take which paths.
#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "core/graph/layers.h"
#include "support/run_op.h"

namespace convoy::test {
namespace {

Tensor many_keys(std::int64_t n, std::uint64_t epoch) {
  Tensor keys({n, 2}, DType::u64);
  for (std::int64_t i = 0; i < n; ++i) {
    keys.values<std::uint64_t>()[static_cast<std::size_t>(2 * i)] = epoch;
    keys.values<std::uint64_t>()[static_cast<std::size_t>(2 * i + 1)] = static_cast<std::uint64_t>(i);
  }
  return keys;
}

std::vector<std::vector<double>> weights_of(PathsAttributes a, const Tensor& keys) {
  a.real = DType::f64;
  std::vector<std::vector<double>> all;
  for (const Tensor& weights : run_op(OpKind::path_weights, a, {keys})) all.push_back(values_of(weights));
  return all;
}

constexpr std::int64_t kSamples = 4000;

TEST(PathWeights, OfOnePathAreOneAsOftenAsItIsKept) {
  for (const double rate : {0.0, 0.2, 0.5}) {
    const auto w = weights_of({.rate = rate, .seed = 3, .name = "block"}, many_keys(kSamples, 1))[0];
    double kept = 0;
    for (const double weight : w) {
      EXPECT_TRUE(weight == 0 || weight == 1);
      kept += weight;
    }
    EXPECT_NEAR(kept / kSamples, 1 - rate, 5 * std::sqrt(rate * (1 - rate) / kSamples));
  }
}

TEST(PathWeights, OfAJoinAddUpToOneForEverySample) {
  for (const double global : {0.0, 0.5, 1.0})
    for (const double rate : {0.15, 0.9}) {
      const auto w = weights_of({.paths = 3, .rate = rate, .keeps_one = true, .global = global, .columns = 4, .seed = 3,
                                 .name = "join", .network = "columns"}, many_keys(kSamples, 1));
      for (std::size_t n = 0; n < kSamples; ++n) EXPECT_NEAR(w[0][n] + w[1][n] + w[2][n], 1, 1e-12);
      for (int path = 0; path < 3; ++path)  // no path is preferred
        EXPECT_NEAR(std::accumulate(w[static_cast<std::size_t>(path)].begin(), w[static_cast<std::size_t>(path)].end(), 0.0) / kSamples,
                    1.0 / 3, 0.04);
    }
}

TEST(PathWeights, GiveAGlobalSampleOneColumnInEveryJoin) {
  const auto join_of = [](const char* name, int paths) {
    return weights_of({.paths = paths, .rate = 0.15, .keeps_one = true, .global = 1, .columns = 3, .seed = 3, .name = name,
                       .network = "columns"}, many_keys(200, 1));
  };
  const auto small = join_of("first", 2), large = join_of("last", 3);
  for (std::size_t n = 0; n < 200; ++n) {
    int column = -1;
    for (int c = 0; c < 3; ++c)
      if (large[static_cast<std::size_t>(c)][n] == 1) column = c;
    ASSERT_GE(column, 0);
    if (column < 2)
      EXPECT_EQ(small[static_cast<std::size_t>(column)][n], 1);
    else
      EXPECT_EQ(small[0][n], 0.5);
  }
}

TEST(PathWeights, DependOnTheSampleEpochAndLayer) {
  const PathsAttributes a{.rate = 0.5, .seed = 3, .name = "block"};
  PathsAttributes other = a;
  other.name = "block2";
  EXPECT_EQ(weights_of(a, many_keys(100, 1)), weights_of(a, many_keys(100, 1)));
  EXPECT_NE(weights_of(a, many_keys(100, 1)), weights_of(a, many_keys(100, 2)));
  EXPECT_NE(weights_of(a, many_keys(100, 1)), weights_of(other, many_keys(100, 1)));
}

TEST(DropPath, ForInferenceScalesByTheShareThatIsKept) {
  Graph graph(DType::f64);
  graph.training = false;
  const Value x = graph.add_input("x", {2, 3}, DType::f64);
  const Value y = drop_path(graph, x, "drop", 0.25);
  EXPECT_EQ(graph.ops()[static_cast<std::size_t>(graph.info(y).producer)].as<ActivationAttributes>(),
            (ActivationAttributes{ActivationKind::scale, 0.75}));
  EXPECT_FALSE(graph.find("keys").exists());
}

TEST(ScaleSamples, LeavesNothingOfAPathThatIsNotTaken) {
  const Tensor y = run_op(OpKind::scale_samples, {}, {tensor_of({2, 2}, {std::nan(""), INFINITY, 3, 4}), tensor_of({2}, {0, 0.5})})[0];
  EXPECT_THAT(values_of(y), testing::ElementsAre(0, 0, 1.5, 2));
}

}  // namespace
}  // namespace convoy::test
