#include "distributed/bench_ways.h"

#include <algorithm>
#include <chrono>

namespace convoy {
namespace {

struct Measured {
  double seconds = 0;  // until the slowest rank is done; negative if any rank found a wrong sum
  double sent_bytes = 0;
};

Measured measure(Communicator& communicator, const Way& way) {
  way.prepare();
  communicator.barrier();
  const std::int64_t sent_before = way.sent_bytes();
  const auto start = std::chrono::steady_clock::now();
  way.run();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  double most[] = {seconds, way.check() ? 0.0 : 1.0, static_cast<double>(way.sent_bytes() - sent_before)};
  communicator.all_reduce(most, ReduceOp::max);
  return {most[1] == 0.0 ? most[0] : -1.0, most[2]};
}

BenchReduceResult summarise(const std::string& name, const std::vector<Measured>& measured, std::int64_t elements) {
  std::vector<double> seconds;
  for (const Measured& one : measured) seconds.push_back(one.seconds);
  std::sort(seconds.begin(), seconds.end());
  BenchReduceResult result{.name = name,
                           .median_seconds = seconds[seconds.size() / 2],
                           .least_seconds = seconds.front(),
                           .most_seconds = seconds.back(),
                           .sent_bytes = measured.back().sent_bytes,
                           .verified = seconds.front() >= 0};
  result.gigabytes_per_second = static_cast<double>(elements) * sizeof(float) / result.median_seconds / 1e9;
  return result;
}

}  // namespace

float bench_input(int rank, int ranks, std::size_t i) {
  const auto r = static_cast<std::size_t>(rank), spacing = static_cast<std::size_t>(ranks + 3) / 4;
  if ((r + i) % spacing != 0) return 0;
  return static_cast<float>((i * 7 + r * 13) % 64);
}

std::vector<float> bench_inputs(int rank, int ranks, std::size_t elements) {
  std::vector<float> inputs(elements);
  for (std::size_t i = 0; i < elements; ++i) inputs[i] = bench_input(rank, ranks, i);
  return inputs;
}

std::vector<float> bench_sums(int ranks, std::size_t elements) {
  std::vector<float> sums(elements);
  for (int r = 0; r < ranks; ++r)
    for (std::size_t i = 0; i < elements; ++i) sums[i] += bench_input(r, ranks, i);
  return sums;
}

std::vector<std::int64_t> bench_buckets(const BenchReduceOptions& options) {
  std::vector<std::int64_t> buckets;
  for (std::int64_t left = options.elements; left > 0; left -= buckets.back())
    buckets.push_back(std::min(left, options.bucket_elements));
  return buckets;
}

std::vector<BenchReduceResult> measure_ways(Communicator& communicator, const std::vector<Way>& ways,
                                            const BenchReduceOptions& options) {
  std::vector<std::vector<Measured>> measured(ways.size());
  for (int repetition = -1; repetition < options.repetitions; ++repetition) {
    for (std::size_t w = 0; w < ways.size(); ++w) {
      const Measured taken = measure(communicator, ways[w]);
      if (repetition >= 0 || taken.seconds < 0) measured[w].push_back(taken);
    }
  }
  std::vector<BenchReduceResult> results;
  for (std::size_t w = 0; w < ways.size(); ++w)
    results.push_back(summarise(ways[w].name, measured[w], options.elements));
  return results;
}

}  // namespace convoy
