// Stream capture and graphs.
#include <algorithm>

#include "state.h"

namespace emulator {

cudaError_t append(cudaStream_t stream, Operation operation) {
  if (stream->capture == nullptr) {
    stream->queue.push_back(std::move(operation));
    return cudaSuccess;
  }
  auto& nodes = stream->capture->graph->nodes;
  nodes.push_back({std::move(operation.task), stream->frontier});
  stream->frontier = {static_cast<int>(nodes.size()) - 1};
  return cudaSuccess;
}

void keep_in_capture(cudaStream_t stream, std::shared_ptr<void> kept) {
  const std::lock_guard lock(process().lock);
  if (const auto& capture = stream_of(stream)->capture) capture->graph->kept.push_back(std::move(kept));
}

bool forbidden_by_capture() {
  bool forbidden = false;
  for (const auto& capture : process().captures) {
    const bool own = capture->thread == std::this_thread::get_id();
    if (capture->mode == cudaStreamCaptureModeRelaxed) continue;
    if (capture->mode == cudaStreamCaptureModeThreadLocal && !own) continue;
    capture->invalid = forbidden = true;
  }
  return forbidden;
}

namespace {

/// Whether all nodes come before the origin's last ones.
bool all_joined(const CUgraph_st& graph, const std::vector<int>& last) {
  std::vector<bool> before(graph.nodes.size());
  std::vector<int> open = last;
  while (!open.empty()) {
    const auto node = static_cast<std::size_t>(open.back());
    open.pop_back();
    if (before[node]) continue;
    before[node] = true;
    open.insert(open.end(), graph.nodes[node].after.begin(), graph.nodes[node].after.end());
  }
  return std::find(before.begin(), before.end(), false) == before.end();
}

/// One launch of a graph: a node at a time, any one whose predecessors are done.
class Execution {
 public:
  explicit Execution(std::shared_ptr<const CUgraph_st> graph)
      : graph_(std::move(graph)), nodes_(graph_->nodes.size()), shuffler_(draw_seed()) {}

  /// Runs one node; whether all are done.
  bool step() {
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      if (!nodes_[i].done && predecessors_done(i)) ready.push_back(i);
    if (ready.empty()) return true;
    const std::size_t i = ready[shuffler_.draw(ready.size())];
    Progress& node = nodes_[i];
    if (!node.started) {
      node.started = true;
      if (graph_->nodes[i].task) node.poll = graph_->nodes[i].task();
    }
    node.done = !node.poll || node.poll();
    done_ += node.done;
    return done_ == nodes_.size();
  }

 private:
  struct Progress {
    bool started = false, done = false;
    Poll poll;
  };
  bool predecessors_done(std::size_t i) const {
    const auto& after = graph_->nodes[i].after;
    return std::all_of(after.begin(), after.end(), [&](int p) { return nodes_[static_cast<std::size_t>(p)].done; });
  }

  std::shared_ptr<const CUgraph_st> graph_;
  std::vector<Progress> nodes_;
  std::size_t done_ = 0;
  Shuffler shuffler_;
};

}  // namespace
}  // namespace emulator

using namespace emulator;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const std::lock_guard lock(process().lock);
  if (stream == nullptr || stream->capture != nullptr) return returned(cudaErrorStreamCaptureUnsupported);
  stream->capture = std::make_shared<Capture>(
      Capture{new CUgraph_st, stream, mode, std::this_thread::get_id(), {stream}, false});
  stream->frontier.clear();
  process().captures.push_back(stream->capture);
  return returned(cudaSuccess);
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(process().lock);
  *graph = nullptr;
  const std::shared_ptr<Capture> capture = stream->capture;
  if (capture == nullptr) return returned(cudaErrorInvalidValue);
  if (capture->origin != stream) return returned(cudaErrorStreamCaptureUnmatched);
  if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id())
    return returned(cudaErrorStreamCaptureWrongThread);
  const bool joined = all_joined(*capture->graph, stream->frontier);
  for (CUstream_st* joint : capture->streams) {
    joint->capture = nullptr;
    joint->frontier.clear();
  }
  std::erase(process().captures, capture);
  const bool good = joined && !capture->invalid;
  const cudaError_t status = capture->invalid ? cudaErrorStreamCaptureInvalidated
                             : joined         ? cudaSuccess
                                              : cudaErrorStreamCaptureUnjoined;
  if (good)
    *graph = capture->graph;
  else
    delete capture->graph;
  return returned(status);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const std::lock_guard lock(process().lock);
  stream = stream_of(stream);
  *status = stream->capture == nullptr  ? cudaStreamCaptureStatusNone
            : stream->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                       : cudaStreamCaptureStatusActive;
  return returned(cudaSuccess);
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  const std::lock_guard lock(process().lock);
  *executable = new CUgraphExec_st{std::make_shared<const CUgraph_st>(CUgraph_st{graph->nodes, {}}), graph->kept};
  return returned(cudaSuccess);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  return enqueue_task(stream, [graph = executable->graph]() -> Poll {
    return [execution = std::make_shared<Execution>(graph)] { return execution->step(); };
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  const std::lock_guard lock(process().lock);
  delete graph;
  return returned(cudaSuccess);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  const std::lock_guard lock(process().lock);
  delete executable;
  return returned(cudaSuccess);
}
