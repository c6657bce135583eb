#pragma once
// The micro-batch program of a whole network on any backend, on made-up operands, run again and again.
#include <vector>

#include "core/backend/backend.h"
#include "core/graph/program.h"
#include "core/models/training.h"
#include "core/tensor/tensor.h"

namespace convoy::test {

/// A network's training step, its operands drawn from a seed: images, labels, parameters, states.
class RepeatedStep {
 public:
  RepeatedStep(const Backend& backend, const Task& task, std::uint64_t seed);
  /// Runs the program once; its leaves (gradients, statistics, loss, metrics), one behind the other, as bytes. They hold
  /// garbage before.
  std::vector<std::byte> run();
  const Graph& graph() const { return training_.graph; }
  /// Binds the program anew: other kernels, other memory for what lies between, the same operands.
  void bind();

 private:
  const Backend& backend_;
  TrainingGraph training_;
  std::vector<std::pair<Value, DeviceMemory>> operands_, leaves_;
  std::unique_ptr<Program> program_;
};

/// A network on small images with a micro-batch that fills more than one block of threads. Its leaves in f32.
Task small_task(const std::string& model, DType compute = DType::f32);

/// The same bits from each of `times` runs, half of them of a program bound anew.
void expect_same_step(const Backend& backend, const Task& task, int times);

/// The same bits with activations made again, cheap and in blocks; both must make some.
void expect_same_bits_recomputed(const Backend& backend, Task task);

}  // namespace convoy::test
