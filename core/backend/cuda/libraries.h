#pragma once
// NVIDIA's libraries: their handles on the compute stream, and the book of plans.
//
// Scratch: a plan's workspace is part of its kernel's scratch_bytes(), known at bind time; workspace_limit() bounds it, so
// plans that want more are not candidates. The libraries allocate nothing while the step runs.
#include <cublasLt.h>
#include <cudnn.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/backend/cuda/cuda_backend.h"
#include "core/backend/cuda/plan_book.h"

namespace convoy::cuda {

/// Throws LibraryError with the call, cuBLASLt's own words and the place.
void check_cublas(cublasStatus_t status, const char* call, const char* file, int line);
#define CONVOY_CUBLAS(call) ::convoy::cuda::check_cublas((call), #call, __FILE__, __LINE__)

class Libraries {
 public:
  Libraries(const Context& context, const CudaOptions& options);
  ~Libraries();
  Libraries(const Libraries&) = delete;
  Libraries& operator=(const Libraries&) = delete;

  cudnnHandle_t cudnn() const { return cudnn_; }
  cublasLtHandle_t cublas() const { return cublas_; }
  cudaStream_t stream() const { return stream_; }
  std::size_t workspace_limit() const { return workspace_limit_; }

  /// The plan of a problem: from the book where it can be made here, else what `time` chooses (empty: nothing can). Throws
  /// LibraryError where a plan that other ranks or an earlier life of the run chose cannot be made: other bits would come.
  std::string plan_for(const std::string& problem, const std::function<bool(const std::string&)>& can_be_made,
                       const std::function<std::string()>& time);

  PlanBook& book() { return book_; }
  const PlanBook& book() const { return book_; }
  /// Writes timed plans to the cache's folder.
  void save_plans() const;
  void tell(const std::string& news) const;

 private:
  cudaStream_t stream_;
  std::filesystem::path cache_;
  std::function<void(const std::string&)> tell_;
  mutable PlanBook book_;  // knows what is saved
  std::size_t workspace_limit_ = 0;
  cudnnHandle_t cudnn_ = nullptr;
  cublasLtHandle_t cublas_ = nullptr;
};

}  // namespace convoy::cuda
