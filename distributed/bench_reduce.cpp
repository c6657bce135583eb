#include "distributed/bench_reduce.h"

#include <algorithm>

#include "distributed/bench_ways.h"
#include "distributed/float_buffer.h"
#include "distributed/reduction.h"

namespace convoy {
namespace {

/// What every way reads and writes.
struct Arrays {
  std::size_t elements;
  FloatBuffer mine, sum, expected;
};

Arrays make_arrays(const Communicator& communicator, std::size_t elements) {
  Arrays arrays{elements, FloatBuffer(elements), FloatBuffer(elements), FloatBuffer(elements)};
  for (std::size_t i = 0; i < elements; ++i) {
    arrays.mine.data()[i] = bench_input(communicator.rank(), communicator.size(), i);
    for (int r = 0; r < communicator.size(); ++r) arrays.expected.data()[i] += bench_input(r, communicator.size(), i);
  }
  return arrays;
}

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

}  // namespace

std::vector<BenchReduceResult> bench_reduce(Communicator& communicator, const BenchReduceOptions& options) {
  communicator.at("the reduction benchmark", -1);
  const std::vector<std::int64_t> buckets = bench_buckets(options);
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
  return measure_ways(communicator, ways, options);
}

}  // namespace convoy
