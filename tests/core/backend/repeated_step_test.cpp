// Steps of whole networks on the cpu backend: the same bits every time.
#include "support/repeated_step.h"

#include <gtest/gtest.h>

namespace convoy::test {
namespace {

TEST(CpuStep, GivesTheSameBitsEveryTime) {
  const auto backend = make_cpu_backend();
  for (const char* model : {"lenet-5", "resnet-20"}) expect_same_step(*backend, small_task(model), 4);
}

}  // namespace
}  // namespace convoy::test
