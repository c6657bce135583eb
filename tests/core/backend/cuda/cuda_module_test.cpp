// libconvoy_cuda.so as the binary meets it, with a device or without.
#include "core/backend/cuda_module.h"

#include <gtest/gtest.h>

#include "core/tensor/error.h"

namespace convoy {
namespace {

TEST(CudaModule, NamesItsDevicesOrSaysWhyThereAreNone) {
  const CudaDevices found = find_cuda_devices();
  EXPECT_EQ(found.names.size(), found.ids.size());
  EXPECT_EQ(found.names.empty(), !found.why_none.empty());
  EXPECT_EQ(found.why_none.find("libconvoy_cuda.so"), std::string::npos) << "it must load: " << found.why_none;
  EXPECT_EQ(found.why_none.find('\n'), std::string::npos);
  if (found.names.empty()) {
    EXPECT_NE(found.why_none.find("NVIDIA driver"), std::string::npos) << found.why_none;
  }
}

TEST(CudaModule, RefusesADeviceThatThereIsNot) {
  EXPECT_THROW(make_cuda_backend({.ordinal = 4096, .tf32 = false, .plan_cache = {}, .tell = {}}), UsageError);
}

TEST(CudaModule, ItsErrorsAreTheBinarysErrors) {
  // Past the check of devices: what the module itself throws where the device is not there.
  const OpenedModule opened = open_module("convoy_cuda");
  ASSERT_NE(opened.head, nullptr) << opened.why_not;
  const auto* module = reinterpret_cast<const CudaModule*>(opened.head);
  EXPECT_THROW(module->make_backend({.ordinal = 4096, .tf32 = false, .plan_cache = {}, .tell = {}}), Error);
}

}  // namespace
}  // namespace convoy
