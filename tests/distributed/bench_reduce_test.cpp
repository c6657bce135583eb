#include "distributed/bench_reduce.h"

#include <gtest/gtest.h>

#include "support/mpi_world.h"

namespace convoy {
namespace {

TEST(BenchReduce, MeasuresAndVerifiesEveryWay) {
  const auto results =
      bench_reduce(mpi_world().all(), {.elements = 100'003, .bucket_elements = 30'000, .repetitions = 3});
  std::vector<std::string> names;
  for (const BenchReduceResult& result : results) {
    names.push_back(result.name);
    EXPECT_TRUE(result.verified) << result.name;
    EXPECT_GT(result.least_seconds, 0) << result.name;
    EXPECT_LE(result.least_seconds, result.median_seconds) << result.name;
    EXPECT_LE(result.median_seconds, result.most_seconds) << result.name;
  }
  EXPECT_EQ(names,
            (std::vector<std::string>{"deterministic", "fast", "MPI_Allreduce", "MPI_Allreduce in place"}));
}

TEST(BenchReduce, HalvesTheBytesWithBf16) {
  const auto results = bench_reduce(mpi_world().all(), {.elements = 100'000,
                                                        .bucket_elements = 30'000,
                                                        .repetitions = 1,
                                                        .rounding = SumRounding::bf16});
  ASSERT_EQ(results[1].name, "deterministic bf16");
  EXPECT_TRUE(results[1].verified);
  EXPECT_EQ(results[0].sent_bytes > 0, mpi_world().size() > 1);
  EXPECT_EQ(results[0].sent_bytes, 2 * results[1].sent_bytes);
}

}  // namespace
}  // namespace convoy
