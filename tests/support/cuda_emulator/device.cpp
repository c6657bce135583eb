// The emulated devices and their errors.
#include <cstdio>
#include <cstring>

#include "state.h"

namespace emulator {
namespace {

// Few and odd, so that kernels meet more blocks than multiprocessors and shares that do not come out even.
constexpr int kMultiprocessors = 3;
constexpr int kVersion = 13000;

thread_local int chosen_device = 0;

struct ErrorText {
  cudaError_t status;
  const char* name;
  const char* text;
};
#define CONVOY_ERROR(name, text) {name, #name, text}
constexpr ErrorText kErrors[] = {
    CONVOY_ERROR(cudaSuccess, "no error"),
    CONVOY_ERROR(cudaErrorInvalidValue, "invalid argument"),
    CONVOY_ERROR(cudaErrorMemoryAllocation, "out of memory"),
    CONVOY_ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    CONVOY_ERROR(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    CONVOY_ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    CONVOY_ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    CONVOY_ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    CONVOY_ERROR(cudaErrorNotReady, "device not ready"),
    CONVOY_ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    CONVOY_ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    CONVOY_ERROR(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    CONVOY_ERROR(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    CONVOY_ERROR(cudaErrorStreamCaptureMerge, "operation would result in a merge of separate capture sequences"),
    CONVOY_ERROR(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began"),
    CONVOY_ERROR(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    CONVOY_ERROR(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream"),
    CONVOY_ERROR(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream"),
    CONVOY_ERROR(cudaErrorStreamCaptureWrongThread, "attempt to terminate a thread-local capture sequence from another thread"),
};
#undef CONVOY_ERROR

const ErrorText& error_text(cudaError_t status) {
  for (const ErrorText& error : kErrors)
    if (error.status == status) return error;
  static constexpr ErrorText unknown{cudaErrorInvalidValue, "unknown", "unrecognized error code"};
  return unknown;
}

}  // namespace

int current_device() { return chosen_device; }

void set_device_count(int count) {
  const std::lock_guard lock(process().lock);
  process().device_count = count;
}

}  // namespace emulator

using namespace emulator;

cudaError_t cudaGetDeviceCount(int* count) {
  const std::lock_guard lock(process().lock);
  *count = process().device_count;
  return returned(process().device_count > 0 ? cudaSuccess : cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int device) {
  const std::lock_guard lock(process().lock);
  if (device < 0 || device >= process().device_count) return returned(cudaErrorInvalidDevice);
  chosen_device = device;
  return returned(cudaSuccess);
}

cudaError_t cudaGetDevice(int* device) {
  *device = chosen_device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  const std::lock_guard lock(process().lock);
  if (device < 0 || device >= process().device_count) return returned(cudaErrorInvalidDevice);
  *properties = {};
  std::strcpy(properties->name, "emulated device");
  properties->totalGlobalMem = process().device_bytes;
  properties->major = 9;
  properties->multiProcessorCount = kMultiprocessors;
  properties->maxThreadsPerBlock = 1024;
  properties->warpSize = 32;
  properties->sharedMemPerBlock = 48 * 1024;
  properties->pciBusID = device;
  return returned(cudaSuccess);
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  const cudaError_t status = cudaGetDeviceProperties(&properties, device);
  if (status != cudaSuccess) return status;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock: *value = properties.maxThreadsPerBlock; break;
    case cudaDevAttrMultiProcessorCount: *value = properties.multiProcessorCount; break;
    case cudaDevAttrComputeCapabilityMajor: *value = properties.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = properties.minor; break;
  }
  return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int bytes, int device) {
  std::snprintf(text, static_cast<std::size_t>(bytes), "0000:%02x:00.0", device);
  return cudaSuccess;
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kVersion;
  return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int* version) {
  *version = kVersion;
  return cudaSuccess;
}

cudaError_t cudaPeekAtLastError() {
  const std::lock_guard lock(process().lock);
  return process().last_error;
}
cudaError_t cudaGetLastError() {
  const std::lock_guard lock(process().lock);
  const cudaError_t status = process().last_error;
  if (process().failure.empty()) process().last_error = cudaSuccess;
  return status;
}

const char* cudaGetErrorName(cudaError_t status) { return error_text(status).name; }
const char* cudaGetErrorString(cudaError_t status) {
  // What went wrong in a kernel, in words that a device would not have.
  if (status == cudaErrorLaunchFailure && !process().failure.empty()) return process().failure.c_str();
  return error_text(status).text;
}
