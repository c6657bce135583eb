#pragma once
// What the benchmarks of the reduction share: ways to sum that alternate, and inputs whose sums are exact.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "distributed/bench_reduce.h"

namespace convoy {

/// Rank r's element i: an integer below 64, and not zero on four ranks at most, so that sums are at most 252. bf16 holds all
/// integers up to 256.
float bench_input(int rank, int ranks, std::size_t i);
/// Rank `rank`'s inputs; and the sums over all ranks.
std::vector<float> bench_inputs(int rank, int ranks, std::size_t elements);
std::vector<float> bench_sums(int ranks, std::size_t elements);

/// Elements of each bucket.
std::vector<std::int64_t> bench_buckets(const BenchReduceOptions& options);

/// One way to sum. `prepare` and `check` are outside the time.
struct Way {
  std::string name;
  std::function<void()> prepare, run;
  std::function<bool()> check;
  std::function<std::int64_t()> sent_bytes = [] { return std::int64_t{0}; };  // so far
};

/// Collective: every way in turn, once to warm up and `repetitions` times measured.
std::vector<BenchReduceResult> measure_ways(Communicator& communicator, const std::vector<Way>& ways,
                                            const BenchReduceOptions& options);

}  // namespace convoy
