#include "core/backend/cuda/libraries.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/backend/cuda/check.h"
#include "core/backend/cuda/cudnn_descriptor.h"
#include "core/tensor/error.h"

namespace convoy::cuda {
namespace {

std::string cudnn_version() {
  const std::size_t version = cudnnGetVersion();
  return fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}

std::string cublas_version() {
  const std::size_t version = cublasLtGetVersion();
  return fmt::format("{}.{}.{}", version / 10000, version % 10000 / 100, version % 100);
}

/// A gibibyte, but no more than a sixteenth of the device: the largest workspace of all kernels is the one that is taken.
std::size_t limit_for(const cudaDeviceProp& properties) {
  return std::min<std::size_t>(std::size_t{1} << 30, properties.totalGlobalMem / 16);
}

cudaDeviceProp properties_of(int device) {
  cudaDeviceProp properties{};
  CONVOY_CUDA(cudaGetDeviceProperties(&properties, device));
  return properties;
}

}  // namespace

void check_cublas(cublasStatus_t status, const char* call, const char* file, int line) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw LibraryError(fmt::format("{}: {} ({}:{})", call, cublasLtGetStatusString(status), file, line));
}

Libraries::Libraries(const Context& context, const CudaOptions& options)
    : stream_(context.stream),
      cache_(options.plan_cache),
      tell_(options.tell),
      book_(fmt::format("{}, {} multiprocessors", properties_of(context.device).name, context.multiprocessors),
            fmt::format("cuDNN {}, cuBLASLt {}", cudnn_version(), cublas_version())),
      workspace_limit_(limit_for(properties_of(context.device))) {
  CONVOY_CUDNN(cudnnCreate(&cudnn_));
  CONVOY_CUDNN(cudnnSetStream(cudnn_, stream_));
  CONVOY_CUBLAS(cublasLtCreate(&cublas_));
  if (!cache_.empty())
    if (const std::string warning = book_.load(cache_); !warning.empty()) tell(warning);
}

Libraries::~Libraries() {
  if (cublas_ != nullptr) static_cast<void>(cublasLtDestroy(cublas_));
  if (cudnn_ != nullptr) static_cast<void>(cudnnDestroy(cudnn_));
}

void Libraries::tell(const std::string& news) const {
  if (tell_) tell_(news);
}

std::string Libraries::plan_for(const std::string& problem, const std::function<bool(const std::string&)>& can_be_made,
                                const std::function<std::string()>& time) {
  const PlanBook::Found found = book_.find(problem);
  if (found.plan == kNoPlan) return {};
  if (found.source != PlanBook::Source::none && can_be_made(found.plan)) return found.plan;
  if (found.source == PlanBook::Source::adopted)
    throw LibraryError(fmt::format("{}: the plan '{}' that this run computes with cannot be made here, and another one would "
                                   "give other bits",
                                   problem, found.plan));
  std::string plan = time();
  book_.put(problem, plan.empty() ? std::string(kNoPlan) : plan);
  return plan;
}

void Libraries::save_plans() const {
  if (cache_.empty()) return;
  if (const std::string warning = book_.save(cache_); !warning.empty()) tell(warning);
}

std::shared_ptr<Libraries> open_libraries(const Context& context, const CudaOptions& options) {
  return std::make_shared<Libraries>(context, options);
}

std::vector<std::pair<std::string, std::string>> library_versions(const Libraries& /*libraries*/) {
  return {{"cudnn", cudnn_version()}, {"cublaslt", cublas_version()}};
}

/// Asked for when everything is bound: then what was timed is kept for later runs.
std::string library_plans(const Libraries& libraries) {
  libraries.save_plans();
  return libraries.book().text();
}

void adopt_library_plans(Libraries& libraries, const std::string& plans) {
  if (const std::string warning = libraries.book().adopt(plans); !warning.empty()) libraries.tell(warning);
}

}  // namespace convoy::cuda
