// Activations made again on the cpu backend: every gradient, statistic, loss and metric has the bits of the run that keeps them.
#include <gtest/gtest.h>

#include "support/repeated_step.h"

namespace convoy::test {
namespace {

Task network(const std::string& model, DType compute, const std::map<std::string, std::string>& options = {}) {
  Task task = small_task(model, compute);
  task.micro_batch = 4;
  task.image = {16, 16, 1};
  task.options = options;
  return task;
}

TEST(Recompute, ChangesNoBitOfResNetsAndDenseNets) {
  const auto backend = make_cpu_backend();
  for (const DType compute : {DType::f32, DType::bf16})
    for (const char* model : {"resnet-20", "densenet-bc-16-4"}) expect_same_bits_recomputed(*backend, network(model, compute));
}

TEST(Recompute, ChangesNoBitOfNormsOverTheWholeBatch) {
  Task task = network("resnet-20", DType::f32);
  task.normalised_micro_batches = 1;
  expect_same_bits_recomputed(*make_cpu_backend(), task);
}

TEST(Recompute, DropsTheSameElementsAgain) {
  for (const DType compute : {DType::f32, DType::bf16})
    expect_same_bits_recomputed(*make_cpu_backend(), network("densenet-bc-16-4", compute, {{"dropout", "0.2"}}));
}

}  // namespace
}  // namespace convoy::test
