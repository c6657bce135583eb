// The convoy binary on a device that the CPU plays: what a test would type on a machine with a GPU. CONVOY_TEST_DEVICE
// says which: "late" (the cpu backend's kernels and bits, on streams that run late) or "cuda" (the cuda backend's own
// kernels, emulated). With CONVOY_TEST_NCCL=1 there is an NCCL between the ranks' devices, emulated too.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "distributed/nccl_module.h"
#include "launch/dispatch.h"
#include "launch/train/run_spec.h"
#include "support/emulated_cuda.h"
#include "support/emulated_nccl.h"
#include "support/late_cpu_backend.h"

int main(int argc, char** argv) {
  const char* device = std::getenv("CONVOY_TEST_DEVICE");
  if (!device) return std::fputs("CONVOY_TEST_DEVICE is missing\n", stderr), 2;
  convoy::set_backend_maker([is_cuda = std::string(device) == "cuda"](const convoy::Config&) {
    return is_cuda ? convoy::test::make_emulated_cuda_backend() : convoy::test::make_late_cpu_backend();
  });
  if (std::getenv("CONVOY_TEST_NCCL")) convoy::set_nccl_maker(convoy::test::make_emulated_nccl_communicator);
  return convoy::dispatch({argv + 1, argv + argc});
}
