#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "nccl.h"

namespace {

/// One side of a message; lives while its group's task does.
struct Post {
  void* data;
  std::size_t bytes;
  bool done = false;
};

/// What the ranks of one world share. Guarded by `lock`, as is all else here.
struct Hub {
  int ranks = 0;
  int joined = 0, finalized = 0;
  std::map<std::pair<int, int>, std::deque<std::shared_ptr<Post>>> sends, receives;  // by (from, to)
  struct Sum {
    std::map<int, std::vector<float>> terms;  // by rank
  };
  std::map<int, std::shared_ptr<Sum>> sums;  // by turn
};

std::mutex lock;
std::map<int, std::shared_ptr<Hub>> hubs;
std::map<int, ncclResult_t> broken;
int worlds = 0, live = 0, aborted = 0;

struct Message {
  void* data;
  std::size_t bytes;
  int peer;
  bool sending;
};

}  // namespace

struct ncclComm {
  std::shared_ptr<Hub> hub;
  int rank = 0;
  std::shared_ptr<bool> is_aborted = std::make_shared<bool>(false);
  enum class State { joining, ready, enqueuing, finalizing } state = State::joining;
  cudaStream_t stream = nullptr;
  std::function<ncclResult_t()> begin;  // what the next look at the state puts on the stream
  std::vector<Message> group;           // under construction
  int reductions = 0;
};

namespace {

// NCCL's groups belong to a thread.
thread_local int group_depth = 0;
thread_local std::vector<ncclComm_t> group_comms;

void meet(Hub& hub, const std::pair<int, int>& route) {
  auto& sends = hub.sends[route];
  auto& receives = hub.receives[route];
  while (!sends.empty() && !receives.empty()) {
    // Of different lengths: the real one would hang or overwrite memory. Here they never meet.
    if (sends.front()->bytes != receives.front()->bytes) return;
    std::memcpy(receives.front()->data, sends.front()->data, sends.front()->bytes);
    sends.front()->done = receives.front()->done = true;
    sends.pop_front();
    receives.pop_front();
  }
}

/// The group as a task of its stream: each time it runs, its messages are posted anew (it may be part of a graph).
emulator::Task group_task(const ncclComm& comm, std::vector<Message> messages) {
  return [hub = comm.hub, rank = comm.rank, is_aborted = comm.is_aborted, messages = std::move(messages)]() -> emulator::Poll {
    std::vector<std::shared_ptr<Post>> posts;
    const std::lock_guard guard(lock);
    for (const Message& message : messages) {
      posts.push_back(std::make_shared<Post>(Post{message.data, message.bytes}));
      const std::pair<int, int> route = message.sending ? std::pair(rank, message.peer) : std::pair(message.peer, rank);
      (message.sending ? hub->sends : hub->receives)[route].push_back(posts.back());
      meet(*hub, route);
    }
    return [posts, is_aborted] {
      const std::lock_guard again(lock);
      return *is_aborted || std::all_of(posts.begin(), posts.end(), [](const auto& post) { return post->done; });
    };
  };
}

/// A sum in rank order.
emulator::Task sum_task(const ncclComm& comm, float* values, std::size_t count) {
  return [hub = comm.hub, rank = comm.rank, is_aborted = comm.is_aborted, values, count,
          number = comm.reductions]() -> emulator::Poll {
    const std::lock_guard guard(lock);
    auto& sum = hub->sums[number];
    if (!sum) sum = std::make_shared<Hub::Sum>();
    sum->terms[rank].assign(values, values + count);
    return [hub, sum, is_aborted, values, count] {
      const std::lock_guard again(lock);
      if (*is_aborted) return true;
      if (static_cast<int>(sum->terms.size()) < hub->ranks) return false;
      std::copy_n(sum->terms.at(0).begin(), count, values);
      for (int r = 1; r < hub->ranks; ++r)
        for (std::size_t i = 0; i < count; ++i) values[i] += sum->terms.at(r).at(i);
      return true;
    };
  };
}

ncclResult_t put_on_stream(cudaStream_t stream, emulator::Task task) {
  return emulator::enqueue_task(stream, std::move(task)) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t add_message(const Message& message, ncclComm_t comm, cudaStream_t stream) {
  if (group_depth == 0 || comm->state != ncclComm::State::ready) return ncclInvalidUsage;
  if (message.peer < 0 || message.peer >= comm->hub->ranks) return ncclInvalidArgument;
  if (std::find(group_comms.begin(), group_comms.end(), comm) == group_comms.end()) group_comms.push_back(comm);
  comm->stream = stream;
  comm->group.push_back(message);
  return ncclSuccess;
}

void forget(ncclComm_t comm) {
  --live;
  delete comm;
}

}  // namespace

namespace nccl_emulator {

void break_rank(int rank, ncclResult_t error) {
  const std::lock_guard guard(lock);
  broken[rank] = error;
}
int live_communicators() {
  const std::lock_guard guard(lock);
  return live;
}
int aborted_communicators() {
  const std::lock_guard guard(lock);
  return aborted;
}

}  // namespace nccl_emulator

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION(2, 28, 9);
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  const std::lock_guard guard(lock);
  ++worlds;
  *id = {};
  std::memcpy(id->internal, &worlds, sizeof worlds);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
  const std::lock_guard guard(lock);
  if (config->blocking != 0) return ncclInvalidArgument;  // the real one would block here, without a deadline
  int world = 0;
  std::memcpy(&world, id.internal, sizeof world);
  auto& hub = hubs[world];
  if (!hub) hub = std::make_shared<Hub>();
  hub->ranks = ranks;
  ++hub->joined;
  *comm = new ncclComm{.hub = hub, .rank = rank};
  ++live;
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  std::function<ncclResult_t()> begin;
  {
    const std::lock_guard guard(lock);
    if (const auto found = broken.find(comm->rank); found != broken.end() && found->second != ncclSuccess) {
      *error = found->second;
      return ncclSuccess;
    }
    begin = std::exchange(comm->begin, nullptr);
    if (comm->state == ncclComm::State::joining && comm->hub->joined == comm->hub->ranks)
      comm->state = ncclComm::State::ready;
    const bool all_finalized = comm->state == ncclComm::State::finalizing && comm->hub->finalized == comm->hub->ranks;
    *error = comm->state == ncclComm::State::ready || all_finalized ? ncclSuccess : ncclInProgress;
  }
  if (!begin) return ncclSuccess;
  *error = begin();
  comm->state = ncclComm::State::ready;
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  const std::lock_guard guard(lock);
  if (comm->state != ncclComm::State::ready) return ncclInvalidUsage;
  comm->state = ncclComm::State::finalizing;
  ++comm->hub->finalized;
  return ncclInProgress;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const std::lock_guard guard(lock);
  forget(comm);
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const std::lock_guard guard(lock);
  *comm->is_aborted = true;
  ++aborted;
  forget(comm);
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess: return "no error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    case ncclRemoteError: return "remote process exited or there was a network error";
    default: return "internal error";
  }
}

const char* ncclGetLastError(ncclComm_t) { return ""; }

ncclResult_t ncclGroupStart() {
  ++group_depth;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  if (--group_depth > 0) return ncclSuccess;
  const std::lock_guard guard(lock);
  for (const ncclComm_t comm : std::exchange(group_comms, {})) {
    comm->state = ncclComm::State::enqueuing;
    comm->begin = [comm, task = group_task(*comm, std::exchange(comm->group, {}))] { return put_on_stream(comm->stream, task); };
  }
  return ncclInProgress;
}

ncclResult_t ncclSend(const void* data, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  const std::lock_guard guard(lock);
  if (type != ncclInt8) return ncclInvalidArgument;
  return add_message({const_cast<void*>(data), count, peer, true}, comm, stream);
}

ncclResult_t ncclRecv(void* data, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
  const std::lock_guard guard(lock);
  if (type != ncclInt8) return ncclInvalidArgument;
  return add_message({data, count, peer, false}, comm, stream);
}

ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
                           cudaStream_t stream) {
  const std::lock_guard guard(lock);
  if (from != to || type != ncclFloat || op != ncclSum) return ncclInvalidArgument;
  if (comm->state != ncclComm::State::ready) return ncclInvalidUsage;
  ++comm->reductions;
  comm->state = ncclComm::State::enqueuing;
  comm->begin = [comm, stream, task = sum_task(*comm, static_cast<float*>(to), count)] { return put_on_stream(stream, task); };
  return ncclInProgress;
}
