// --device on machines without a GPU, as a user meets it. Where there is a GPU these tests hide it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "launch/expect_message.h"
#include "launch/run_command.h"

namespace convoy {
namespace {

/// Runs the binary with the modules of `folder` and no GPU.
Outcome without_gpu(const std::string& arguments, const std::string& modules = "") {
  return run_command("export CUDA_VISIBLE_DEVICES=; " + (modules.empty() ? "" : "export CONVOY_MODULES='" + modules + "'; ") + "'" +
                     CONVOY_BINARY + "' " + arguments);
}

/// The same where a driver is, which sees `devices`.
Outcome with_driver(const std::string& arguments, const std::string& modules, int devices = 1) {
  return run_command("export LD_LIBRARY_PATH='" CONVOY_FAKE_DRIVER "' CONVOY_TEST_DRIVER_DEVICES=" + std::to_string(devices) +
                     " CONVOY_MODULES='" + modules + "'; '" + CONVOY_BINARY + "' " + arguments);
}

const std::string kStep = "bench step --model=lenet-5 --batch=1 --steps=1 --repetitions=1";

TEST(DeviceCommand, AutoWithoutADriverSaysNothingAndLoadsNoLibraryOfCudas) {
  const TemporaryFolder folder;
  const Outcome outcome = run_command("export CUDA_VISIBLE_DEVICES= LD_DEBUG=libs LD_DEBUG_OUTPUT=loaded; '" CONVOY_BINARY "' " + kStep,
                                      folder.path());
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  std::string loaded;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) loaded += bytes_of(entry.path());
  EXPECT_NE(loaded.find("libcuda.so.1"), std::string::npos) << "the driver is asked";
  EXPECT_EQ(loaded.find("libcudnn"), std::string::npos);
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

/// On the cuda backend, emulated.
TEST(DeviceCommand, BenchStepTellsTheDeviceThePrecisionAndTheDevicesMemory) {
  const auto on_device = [](const std::string& arguments) {
    return run_command("CONVOY_TEST_DEVICE=cuda '" CONVOY_DEVICE_BINARY "' " + arguments);
  };
  const std::string step = "bench step --model=lenet-5 --batch=2 --steps=1 --repetitions=1 --precision=bf16";
  const Outcome text = on_device(step);
  ASSERT_EQ(text.status, 0) << text.err;
  test::expect_parts(text.out, {"lenet-5, bf16: ", "on emulated device", "peak device memory"});
  const Outcome printed = on_device(step + " --format=json");
  ASSERT_EQ(printed.status, 0) << printed.err;
  const auto json = nlohmann::json::parse(printed.out);
  EXPECT_EQ(json["device"], "emulated device");
  EXPECT_EQ(json["precision"], "bf16");
  // 61,706 parameters with their momentum and bf16 copies, and the activations of two images; far from a process's memory.
  EXPECT_GT(json["peak_memory_mib"], 0.6);
  EXPECT_LT(json["peak_memory_mib"], 10);
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
  const Outcome outcome = with_driver(kStep, folder.path().string());
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(lines_in(outcome.err), 1) << outcome.err;
  test::expect_parts(outcome.err, {"[device] computing on the cpu: ", "libconvoy_cuda.so"});
  EXPECT_EQ(with_driver(kStep, folder.path().string(), 0).err, "") << "a driver without devices is none";
}

TEST(DeviceCommand, AModuleThatIsCutOffIsNamed) {
  const TemporaryFolder folder;
  const std::string module = bytes_of(std::string(CONVOY_FAKE_MODULES) + "/libfake_stranger.so");
  write_bytes(folder.path() / "libconvoy_cuda.so", module.substr(0, module.size() / 2));
  const Outcome automatic = with_driver(kStep, folder.path().string());
  EXPECT_EQ(automatic.status, 0) << automatic.err;
  test::expect_parts(automatic.err, {"[device] computing on the cpu: ", "libconvoy_cuda.so", "cut off"});
  const Outcome asked = with_driver(kStep + " --device=cuda", folder.path().string());
  EXPECT_EQ(asked.status, 2);
  EXPECT_EQ(lines_in(asked.err), 1) << asked.err;
  test::expect_parts(asked.err, {"--device=cuda: ", "libconvoy_cuda.so", "cut off"});
}

TEST(DeviceCommand, AFolderOfModulesThatDoesNotExistIsNamed) {
  const Outcome automatic = without_gpu(kStep, "/nowhere/at/all");
  EXPECT_EQ(automatic.status, 0) << automatic.err;
  EXPECT_EQ(lines_in(automatic.err), 1) << automatic.err;
  test::expect_parts(automatic.err, {"CONVOY_MODULES", "/nowhere/at/all"});
  EXPECT_EQ(without_gpu(kStep + " --device=cuda", "/nowhere/at/all").status, 2);
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
  const Outcome outcome = with_driver(kStep, folder.path().string());
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(lines_in(outcome.err), 1) << outcome.err;
  test::expect_parts(outcome.err, {"[device] computing on the cpu: libconvoy_cuda.so cannot be loaded: ", "libxudnn.so",
                                   "cannot open shared object file"});
}
#endif

}  // namespace
}  // namespace convoy
