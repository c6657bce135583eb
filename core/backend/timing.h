#pragma once
// How long ops take on a backend, and what the machine allows, both measured through the same door in the same run.
// Works on any Device: what is timed is a Replay of several runs, from its launch until the compute stream is empty.
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/backend/backend.h"

namespace convoy {

struct TimingOptions {
  int threads = 1;                // that a kernel may use
  int repetitions = 5;            // measurements
  double least_seconds = 0.02;    // of one measurement: runs are repeated until it takes as long
};

/// Seconds of one run.
struct Timing {
  double median = 0, least = 0, most = 0;
  std::string implementation;
};

/// Times `ops` as one kernel where there are several (Backend::bind_together), on operands that it makes itself: reals are
/// normal-looking numbers, integers 0, keys arbitrary. Operands stay where the last run left them, so what fits a cache is
/// read from there. Throws UsageError with every candidate's reason if the backend declines.
Timing time_ops(const Backend& backend, std::span<const OpDesc> ops, const TimingOptions& options);

/// What the machine gives: the fastest large matrix product per type of data, and the fastest stream of large arrays.
struct Limits {
  std::map<DType, double> multiply_adds_per_second;
  double bytes_per_second = 0;
};

/// A dense layer of square matrices of each of `types`; the better of a copy and of a sum of two arrays (three arrays of
/// f32, larger than any cache). With bytes as cost_of counts them: each operand once.
Limits measure_limits(const Backend& backend, std::span<const DType> types, const TimingOptions& options);

/// The least that an op of this cost can take: its arithmetic or its traffic, whichever is longer. `type`: of its data.
double least_seconds(const Cost& cost, DType type, const Limits& limits);

}  // namespace convoy
