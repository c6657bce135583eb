#include "distributed/bench_reduce.h"

#include <algorithm>
#include <chrono>
#include <functional>

#include "distributed/float_buffer.h"
#include "distributed/reduction.h"

namespace convoy {
namespace {

// Rank r's element i: below 64, and not zero on four ranks at most, so that sums are at most 252. bf16 holds all integers up
// to 256.
float input(int rank, int ranks, std::size_t i) {
  const auto r = static_cast<std::size_t>(rank), spacing = static_cast<std::size_t>(ranks + 3) / 4;
  if ((r + i) % spacing != 0) return 0;
  return static_cast<float>((i * 7 + r * 13) % 64);
}

/// What every way reads and writes.
struct Arrays {
  std::size_t elements;
  FloatBuffer mine, sum, expected;
};

Arrays make_arrays(const Communicator& communicator, std::size_t elements) {
  Arrays arrays{elements, FloatBuffer(elements), FloatBuffer(elements), FloatBuffer(elements)};
  for (std::size_t i = 0; i < elements; ++i) {
    arrays.mine.data()[i] = input(communicator.rank(), communicator.size(), i);
    for (int r = 0; r < communicator.size(); ++r) arrays.expected.data()[i] += input(r, communicator.size(), i);
  }
  return arrays;
}

/// `prepare` and `check` are outside the time.
struct Way {
  std::string name;
  std::function<void()> prepare, run;
  std::function<bool()> check;
  std::function<std::int64_t()> sent_bytes = [] { return std::int64_t{0}; };  // so far
};

Way reducer_way(std::string name, GradientReducer& reducer, const Communicator& communicator,
                const Arrays& arrays, const std::vector<std::int64_t>& buckets) {
  const auto run = [&, step = std::int64_t{0}]() mutable {
    reducer.begin(++step);
    const float* data = arrays.mine.data();
    for (std::size_t b = 0; b < buckets.size(); data += buckets[b++]) {
      reducer.bucket_ready(communicator.rank(), static_cast<int>(b), data);
    }
    reducer.finish();
  };
  const auto check = [&] {
    const float* expected = arrays.expected.data();
    for (std::size_t b = 0; b < buckets.size(); expected += buckets[b++]) {
      const auto sum = reducer.result(static_cast<int>(b));
      if (!std::equal(sum.begin(), sum.end(), expected)) return false;
    }
    return true;
  };
  return {std::move(name), [] {}, run, check, [&reducer] { return reducer.sent_bytes(); }};
}

std::vector<Way> mpi_ways(Communicator& communicator, Arrays& arrays) {
  const std::span<const float> mine(arrays.mine.data(), arrays.elements);
  const std::span<float> sum(arrays.sum.data(), arrays.elements);
  const auto check = [&arrays, sum] { return std::equal(sum.begin(), sum.end(), arrays.expected.data()); };
  return {{"MPI_Allreduce", [sum] { std::fill(sum.begin(), sum.end(), 0.0F); },
           [=, &communicator] { communicator.all_reduce_fast(mine, sum); }, check},
          {"MPI_Allreduce in place", [=] { std::copy(mine.begin(), mine.end(), sum.begin()); },
           [=, &communicator] { communicator.all_reduce_fast(sum); }, check}};
}

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

std::vector<BenchReduceResult> bench_reduce(Communicator& communicator, const BenchReduceOptions& options) {
  communicator.at("the reduction benchmark", -1);
  std::vector<std::int64_t> buckets;
  for (std::int64_t left = options.elements; left > 0; left -= buckets.back()) {
    buckets.push_back(std::min(left, options.bucket_elements));
  }
  Arrays arrays = make_arrays(communicator, static_cast<std::size_t>(options.elements));
  const ReducerOptions tree_options{.virtual_workers = communicator.size(), .bucket_elements = buckets};
  ReducerOptions rounded_options = tree_options, fast_options = tree_options;
  rounded_options.rounding.assign(buckets.size(), options.rounding);
  fast_options.kind = ReductionKind::fast;
  const auto tree = make_reducer(communicator, tree_options);
  const auto rounded = options.rounding == SumRounding::none ? nullptr : make_reducer(communicator, rounded_options);
  const auto fast = make_reducer(communicator, fast_options);

  std::vector<Way> ways{reducer_way("deterministic", *tree, communicator, arrays, buckets)};
  if (rounded) ways.push_back(reducer_way("deterministic bf16", *rounded, communicator, arrays, buckets));
  ways.push_back(reducer_way("fast", *fast, communicator, arrays, buckets));
  for (Way& way : mpi_ways(communicator, arrays)) ways.push_back(std::move(way));
  std::vector<std::vector<Measured>> measured(ways.size());
  for (int repetition = -1; repetition < options.repetitions; ++repetition) {
    for (std::size_t w = 0; w < ways.size(); ++w) {
      const Measured taken = measure(communicator, ways[w]);
      if (repetition >= 0 || taken.seconds < 0) measured[w].push_back(taken);
    }
  }
  std::vector<BenchReduceResult> results;
  for (std::size_t w = 0; w < ways.size(); ++w) {
    results.push_back(summarise(ways[w].name, measured[w], options.elements));
  }
  return results;
}

}  // namespace convoy
