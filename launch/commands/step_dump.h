#pragma once
// One training step as a file that any program can read: what another implementation needs to compute the same step, and
// what came of it here.
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"

namespace convoy {

struct StepDump {
  Tensor images, labels;                 // as stored [n, s.., c]; i32 [n]
  double mean = 0, deviation = 1;        // images are normalised by these, on all channels
  double loss = 0;                       // mean over the batch
  double rate = 1;                       // of the step: after = before - rate gradient
  std::vector<std::string> parameters;   // in the order in which the network makes them
  std::map<std::string, Tensor> before, after;  // parameters, before and after the step
};

/// A line of JSON (loss, rate, mean, deviation, parameters, arrays: name, dtype, shape, offset behind the line), then the arrays'
/// little-endian bytes: "images", "labels", "before/NAME", "after/NAME". Throws DataError where the file cannot be written.
void write_step_dump(const std::filesystem::path& path, const StepDump& dump);

}  // namespace convoy
