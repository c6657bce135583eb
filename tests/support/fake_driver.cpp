// A libcuda.so.1 for tests: NVIDIA's driver, as far as convoy itself asks it. It sees as many devices as
// CONVOY_TEST_DRIVER_DEVICES says, and answers CUDA_ERROR_NO_DEVICE where that is 0.
#include <cstdlib>

namespace {

int devices() {
  const char* text = std::getenv("CONVOY_TEST_DRIVER_DEVICES");
  return text ? std::atoi(text) : 1;
}

}  // namespace

#define CONVOY_FAKE_DRIVER extern "C" __attribute__((visibility("default"))) int
CONVOY_FAKE_DRIVER cuInit(unsigned) { return devices() > 0 ? 0 : 100; }
CONVOY_FAKE_DRIVER cuDeviceGetCount(int* count) { return *count = devices(), 0; }
