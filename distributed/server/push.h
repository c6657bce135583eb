#pragma once
// What a push says of itself, besides the gradient.
#include <cstdint>
#include <vector>

namespace convoy {

/// Sample ids of one epoch: count, sum and xor.
struct SeenSamples {
  std::int64_t epoch = 0;
  std::uint64_t count = 0, sum = 0, exclusive_or = 0;
};

/// A micro-batch of a push, and the version of the parameters that its worker had taken before it; -1: it went on with what it
/// had, moved by its own gradients since.
struct PushedUnit {
  std::int64_t unit = 0;
  std::int64_t pulled = -1;
};

/// The gradient sum of one micro-batch, or of several of one worker in a row.
struct Push {
  int worker = 0;
  std::int64_t sequence = 0;            // of this worker's pushes in this life of the run
  std::vector<PushedUnit> units;
  std::vector<SeenSamples> seen;
  bool finite = true;
  double loss = 0, weight = 0, top1 = 0, top5 = 0;  // sums over its samples
  double input_seconds = 0, pull_seconds = 0;       // that the worker waited since its last push
  std::int64_t staleness = 0;           // versions between its pull and its application; told by the sequencer, not by the worker
};

std::vector<std::uint8_t> encode(const Push& push);
Push decode(const std::uint8_t* bytes, std::size_t count);

}  // namespace convoy
