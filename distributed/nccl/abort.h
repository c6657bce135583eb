#pragma once
// ncclCommAbort on a thread of its own. NCCL's user guide ("Using NCCL with CUDA Graphs"): a captured graph keeps the
// communicator, and finalizing, destroying or aborting it returns only when the last such graph is destroyed. Whoever aborts
// may be the one that has to destroy them, or to end the capture.
#include <nccl.h>

#include <chrono>
#include <memory>

namespace convoy::nccl {

/// One abort at most. Threads: any.
class Abort {
 public:
  Abort();
  /// Returns at once. The abort goes on by itself, also where this object is gone.
  void start(ncclComm_t communicator) noexcept;
  /// Whether none is under way any more, after waiting for it this long at most.
  bool has_ended(std::chrono::milliseconds wait) const;

 private:
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace convoy::nccl
