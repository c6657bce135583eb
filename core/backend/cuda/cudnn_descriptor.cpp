#include "core/backend/cuda/cudnn_descriptor.h"

#include <fmt/format.h>

#include "core/tensor/error.h"

namespace convoy::cuda {

void check_cudnn(cudnnStatus_t status, const char* call, const char* file, int line) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char words[512] = "";
  cudnnGetLastErrorString(words, sizeof words);
  throw LibraryError(fmt::format("{}: {} ({}{}{}:{})", call, cudnnGetErrorString(status), words, *words ? ", " : "", file, line));
}

std::vector<Descriptor> Descriptor::parts(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type,
                                          std::int64_t most) const {
  std::vector<Descriptor> filled;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (std::int64_t i = 0; i < most; ++i) raw.push_back(filled.emplace_back(type).get());
  std::int64_t count = 0;
  CONVOY_CUDNN(cudnnBackendGetAttribute(raw_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, &count, raw.data()));
  filled.erase(filled.begin() + static_cast<std::ptrdiff_t>(std::min(count, most)), filled.end());
  return filled;
}

}  // namespace convoy::cuda
