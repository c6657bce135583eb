#pragma once
// How long the gradient reduction takes beside MPI's own all-reduce.
#include <cstdint>
#include <string>
#include <vector>

#include "core/backend/device.h"
#include "distributed/communicator.h"

namespace convoy {

struct BenchReduceOptions {
  std::int64_t elements = 25'000'000;        // floats of the gradient
  std::int64_t bucket_elements = 4'000'000;  // floats of one bucket
  int repetitions = 7;                       // measured, after one to warm up
  SumRounding rounding = SumRounding::none;  // bf16: measured beside f32
};

/// One way to sum. Seconds from a barrier until the last rank has the whole sum.
struct BenchReduceResult {
  std::string name;
  double median_seconds = 0;
  double least_seconds = 0;
  double most_seconds = 0;
  double gigabytes_per_second = 0;  // algorithm bandwidth: bytes of the f32 gradient / median
  double sent_bytes = 0;            // per repetition, by the rank that sends most; 0 where the library sends
  bool verified = false;            // every element of every repetition had the exact sum, on every rank
};

/// Collective; ways alternate in each repetition. In this order: "deterministic", with rounding "deterministic bf16", and
/// "fast" (GradientReducer with one leaf a rank: handing in copies it, then all buckets), "MPI_Allreduce", "MPI_Allreduce in
/// place". The inputs are small integers whose sums are exact in bf16 and in any order. The same numbers on every rank.
std::vector<BenchReduceResult> bench_reduce(Communicator& communicator, const BenchReduceOptions& options);

}  // namespace convoy
