#pragma once
// A flat list of bound kernels with its memory, which is the backend's device's. One program belongs to one thread;
// parameters may be shared between programs (bind_memory), the arena and the scratch space are its own.
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/graph/passes.h"
#include "core/trace/trace.h"

namespace convoy {

struct ProgramOptions {
  int threads = 1;                 // per micro-batch
  std::vector<Value> outside;      // values bound by the caller besides inputs, parameters, states, constants
  std::vector<Value> keep;         // values read after the run
};

/// The graph's ops as a backend sees them; outputs that nobody reads are marked as not wanted.
std::vector<OpDesc> describe_ops(const Graph& graph, const ProgramOptions& options);
/// Whether ops of this kind have a kernel (views and externals have none), and whether neighbours of this kind may share one
/// (Backend::bind_together).
bool needs_kernel(OpKind kind);
bool may_share_kernel(OpKind kind);

class Program {
 public:
  using External = std::function<void(const ExternalAttributes&)>;
  /// Called after each op that computes, with its number in graph().ops() and the outputs that it wrote (those that
  /// nobody reads are not written). False ends the run there.
  using Observer = std::function<bool(int op, std::span<const Value> written)>;

  /// Throws UsageError naming the op and every reason if the backend declines one.
  Program(const Graph& graph, const Backend& backend, const ProgramOptions& options);

  /// Binds a value of the caller's (input, parameter, state, constant, outside) to memory that outlives the runs.
  void bind_memory(Value value, void* data);
  void set_external(External external) { external_ = std::move(external); }
  /// Called by batch_sum with its index, this micro-batch's part and where the sum is to be, both of so many elements. Where
  /// none is set, the micro-batch is the whole batch.
  using BatchSum = std::function<void(int index, const void* part, void* sum, std::int64_t elements)>;
  void set_batch_sum(BatchSum batch_sum) { batch_sum_ = std::move(batch_sum); }
  void set_observer(Observer observer) { observer_ = std::move(observer); }  // null: none, which costs nothing
  /// Runs every op once, in order; on a device: enqueues them. Every value of the caller's must be bound.
  void run();

  /// Memory of a value after (or during) a run; for arena values only those in `keep` hold their content at the end.
  void* memory(Value value) const { return memory_[static_cast<std::size_t>(value.id)]; }
  template <typename T>
  T* data(Value value) const { return static_cast<T*>(memory(value)); }

  const Graph& graph() const { return graph_; }
  const MemoryPlan& plan() const { return plan_; }
  std::size_t arena_bytes() const { return plan_.arena_bytes; }
  std::size_t scratch_bytes() const { return scratch_bytes_; }
  std::string implementation(int op) const;
  /// Seconds spent in each op since profiling was turned on. On a device the host then waits for every op; nothing that is
  /// captured may be profiled.
  bool profile = false;
  std::vector<double> op_seconds;

 private:
  Graph graph_;
  MemoryPlan plan_;
  std::vector<std::unique_ptr<Kernel>> kernels_;   // null: views, externals, and ops that an earlier one's kernel does
  std::vector<int> members_;                       // ops that the kernel does: more than 1 where neighbours share it, then 0
  std::vector<void*> memory_;
  std::vector<std::string> notes_;                 // per op, for the trace: "conv1 conv"
  std::vector<trace::Activity> activities_;
  std::vector<std::vector<void*>> inputs_, outputs_;  // per op, rebuilt when a binding changes
  Device& device_;
  DeviceMemory arena_, scratch_;
  std::size_t scratch_bytes_ = 0;
  std::vector<std::vector<Value>> written_;           // per op
  External external_;
  BatchSum batch_sum_;
  Observer observer_;
  bool stale_ = true;

  std::size_t bind_neighbours(const Backend& backend, const std::vector<OpDesc>& descs, std::size_t first, int threads);
  void gather(const Op& op, std::vector<void*>& inputs, std::vector<void*>& outputs) const;
  void refresh();
  void sum_over_batch(std::size_t index);
};

}  // namespace convoy
