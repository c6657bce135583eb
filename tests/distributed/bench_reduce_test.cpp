#include "distributed/bench_reduce.h"
#include "distributed/bench_push_pull.h"

#include <gtest/gtest.h>

#include "core/tensor/error.h"
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

TEST(BenchPushPull, MeasuresAndVerifiesEveryWay) {
  Communicator& all = mpi_world().all();
  if (all.size() == 1) {
    EXPECT_THROW(bench_push_pull(all, {.elements = 10}), UsageError);
    return;
  }
  for (const int servers : {1, all.size() - 1}) {
    const auto results = bench_push_pull(all, {.elements = 100'003, .servers = servers, .repetitions = 3});
    ASSERT_EQ(results.size(), 4u);
    for (const BenchReduceResult& result : results) {
      EXPECT_TRUE(result.verified) << result.name << " with " << servers << " servers";
      EXPECT_GT(result.gigabytes_per_second, 0) << result.name;
    }
  }
}

}  // namespace
}  // namespace convoy
