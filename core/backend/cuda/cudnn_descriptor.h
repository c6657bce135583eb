#pragma once
// A descriptor of cuDNN's backend API and checked calls of that library. Written against its C interface: the C++ one on
// top (cudnn-frontend) is in neither CUDA's toolkit nor Debian, takes a minute and a half to compile for one file, and
// links NVRTC.
#include <cudnn.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace convoy::cuda {

/// Throws LibraryError with the call, cuDNN's own words and the place.
void check_cudnn(cudnnStatus_t status, const char* call, const char* file, int line);
#define CONVOY_CUDNN(call) ::convoy::cuda::check_cudnn((call), #call, __FILE__, __LINE__)

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(cudnnBackendDescriptorType_t type) { CONVOY_CUDNN(cudnnBackendCreateDescriptor(type, &raw_)); }
  Descriptor(Descriptor&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept { std::swap(raw_, other.raw_); return *this; }
  ~Descriptor() {
    if (raw_ != nullptr) static_cast<void>(cudnnBackendDestroyDescriptor(raw_));
  }

  cudnnBackendDescriptor_t get() const { return raw_; }

  template <typename T>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T& value) {
    CONVOY_CUDNN(cudnnBackendSetAttribute(raw_, name, type, 1, &value));
  }
  template <typename T>
  void set_all(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const std::vector<T>& values) {
    CONVOY_CUDNN(cudnnBackendSetAttribute(raw_, name, type, static_cast<std::int64_t>(values.size()), values.data()));
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& part) {
    CONVOY_CUDNN(cudnnBackendSetAttribute(raw_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &part.raw_));
  }
  void finalize() { CONVOY_CUDNN(cudnnBackendFinalize(raw_)); }
  /// False where cuDNN does not support what was described.
  bool try_finalize() { return cudnnBackendFinalize(raw_) == CUDNN_STATUS_SUCCESS; }

  template <typename T>
  T value(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) const {
    T result{};
    std::int64_t count = 0;
    CONVOY_CUDNN(cudnnBackendGetAttribute(raw_, name, type, 1, &count, &result));
    return result;
  }
  template <typename T>
  std::vector<T> values(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t most) const {
    std::vector<T> results(static_cast<std::size_t>(most));
    std::int64_t count = 0;
    CONVOY_CUDNN(cudnnBackendGetAttribute(raw_, name, type, most, &count, results.data()));
    results.resize(static_cast<std::size_t>(std::min(count, most)));
    return results;
  }
  /// Parts that cuDNN fills in: at most `most` of `type`.
  std::vector<Descriptor> parts(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type, std::int64_t most) const;

 private:
  cudnnBackendDescriptor_t raw_ = nullptr;
};

}  // namespace convoy::cuda
