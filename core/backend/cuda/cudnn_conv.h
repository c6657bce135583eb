#pragma once
// One convolution in cuDNN's graph API: which engines can compute it, and a plan of one of them.
//
// Only engines that give the same bits every time are taken, and only such as keep to the arithmetic that was asked for:
// sums in f32; factors of f32 data rounded to TF32 only where the problem says so; no transforms (Winograd with large
// tiles, FFT) whose error is beyond that of the sum itself.
//
// Seam: batch norm's statistics could be taken where a convolution writes its result, and its scale, shift and ReLU
// applied where the next one reads (cuDNN's ConvBNfprop and its relatives: f16 only, channels a multiple of 8, exactly
// those patterns). They are further operations in operations_of(), further tensors in Operands, and a kind of op of their
// own that the fuse pass makes; nothing else here would change.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/backend/cuda/conv_problem.h"
#include "core/backend/cuda/cudnn_descriptor.h"

namespace convoy::cuda {

/// An engine with the settings of its knobs. As text: "engine=12 knobs=2:1,7:0".
struct CudnnEngine {
  std::int64_t index = 0;
  std::vector<std::pair<int, std::int64_t>> knobs;  // cudnnBackendKnobType_t, value
  std::string text() const;
  static std::optional<CudnnEngine> from_text(const std::string& text);
  bool operator==(const CudnnEngine&) const = default;
};

class CudnnPlan {
 public:
  struct Operands {
    void* x = nullptr;        // or dx
    void* filters = nullptr;  // or dfilters
    void* y = nullptr;        // or dy
    void* bias = nullptr;
  };
  CudnnPlan(Descriptor plan, bool bias);
  std::size_t workspace_bytes() const { return workspace_bytes_; }
  /// Enqueues on the handle's stream. Throws LibraryError.
  void run(cudnnHandle_t handle, const Operands& operands, void* workspace);

 private:
  Descriptor plan_, pack_;
  bool bias_;
  std::vector<void*> bound_;  // the operands of pack_
  std::size_t workspace_bytes_ = 0;
};

class CudnnConv {
 public:
  /// For the handle's device; or, with handle null, for the one that `device` (a finalized
  /// CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, which outlives this) describes: then nothing can be run. Throws LibraryError for
  /// what cuDNN takes for no convolution.
  CudnnConv(cudnnHandle_t handle, const ConvProblem& problem, const Descriptor* device = nullptr);

  /// What cuDNN's heuristics propose and the rules above allow, best first, at most `most`.
  std::vector<CudnnEngine> candidates(std::size_t most) const;
  /// Null where the engine does not support the problem, is not allowed, or wants a workspace above the limit.
  std::unique_ptr<CudnnPlan> build(const CudnnEngine& engine, std::size_t workspace_limit) const;

 private:
  std::vector<Descriptor> proposals(cudnnBackendHeurMode_t mode) const;
  bool is_allowed(const Descriptor& engine) const;

  cudnnHandle_t handle_;
  ConvProblem problem_;
  const Descriptor* device_;
  std::vector<Descriptor> parts_;  // what the graph refers to
  Descriptor graph_;
};

}  // namespace convoy::cuda
