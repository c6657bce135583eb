// --device on machines without a GPU, as a user meets it. Where there is a GPU these tests hide it.
#include <gtest/gtest.h>

#include "launch/expect_message.h"
#include "launch/run_command.h"

namespace convoy {
namespace {

/// Runs the binary with the modules of `folder` and no GPU.
Outcome without_gpu(const std::string& arguments, const std::string& modules = "") {
  return run_command("export CUDA_VISIBLE_DEVICES=; " + (modules.empty() ? "" : "export CONVOY_MODULES='" + modules + "'; ") + "'" +
                     CONVOY_BINARY + "' " + arguments);
}

const std::string kStep = "bench step --model=lenet-5 --batch=1 --steps=1 --repetitions=1";

TEST(DeviceCommand, AutoFallsBackToTheCpuInOneLine) {
  const Outcome outcome = without_gpu(kStep);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(lines_in(outcome.err), 1) << outcome.err;
  EXPECT_TRUE(outcome.err.starts_with("[device] computing on the cpu: ")) << outcome.err;
}

TEST(DeviceCommand, CpuSaysNothing) {
  const Outcome outcome = without_gpu(kStep + " --device=cpu");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
}

TEST(DeviceCommand, CudaWithoutAGpuIsWrongUsage) {
  const Outcome outcome = without_gpu(kStep + " --device=cuda");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(lines_in(outcome.err), 1) << outcome.err;
  test::expect_parts(outcome.err, {"--device=cuda: ", "--device=cpu"});
}

TEST(DeviceCommand, NoModelAndNoPlanTouchesADevice) {
  for (const char* command : {"model show lenet-5", "model list", "version"}) {
    const Outcome outcome = without_gpu(command);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "") << command;
  }
}

TEST(DeviceCommand, AModuleOfAnotherBuildIsNamed) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(std::string(CONVOY_FAKE_MODULES) + "/libfake_stranger.so", folder.path() / "libconvoy_cuda.so");
  const Outcome outcome = without_gpu(kStep, folder.path().string());
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(lines_in(outcome.err), 1) << outcome.err;
  test::expect_parts(outcome.err, {"[device] computing on the cpu: ", "libconvoy_cuda.so"});
}

#ifdef CONVOY_CUDA_MODULE
/// The module as it is where cuDNN is not: of a library's name that nobody has.
TEST(DeviceCommand, AMissingLibraryIsNamed) {
  const TemporaryFolder folder;
  std::string module = bytes_of(CONVOY_CUDA_MODULE);
  const std::string library = "libcudnn.so";
  int renamed = 0;
  for (std::size_t at = 0; (at = module.find(library, at)) != std::string::npos; ++renamed) module[at + 3] = 'x';
  ASSERT_GT(renamed, 0) << "the module needs cuDNN";
  write_bytes(folder.path() / "libconvoy_cuda.so", module);
  const Outcome outcome = without_gpu(kStep, folder.path().string());
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(lines_in(outcome.err), 1) << outcome.err;
  test::expect_parts(outcome.err, {"[device] computing on the cpu: libconvoy_cuda.so cannot be loaded: ", "libxudnn.so",
                                   "cannot open shared object file"});
}
#endif

}  // namespace
}  // namespace convoy
