#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "distributed/communicator.h"
#include "nccl.h"

namespace {

using convoy::Communicator;
using convoy::RequestPtr;

// Above the tags that anybody else uses.
enum Tag { kJoin = (1 << 20) - 8, kGoodbye, kMessage, kSum };

std::mutex lock;  // guards what follows
std::map<int, ncclResult_t> broken;
std::set<int> stalled;
int live = 0, aborted = 0;

thread_local Communicator* transport = nullptr;
// NCCL's groups belong to a thread.
thread_local int group_depth = 0;
thread_local std::vector<ncclComm_t> group_comms;

/// Messages under way, and the memory of theirs that nobody else owns.
struct Pending {
  std::vector<RequestPtr> requests;
  std::vector<std::vector<float>> memory;

  bool finished() const {
    return std::all_of(requests.begin(), requests.end(), [](const RequestPtr& request) { return request->test(); });
  }
};

/// What was given up before it was through stays: its peer may still read or write it, and a request may not die unfinished.
void bury(std::shared_ptr<Pending> pending) {
  static auto* const buried = new std::vector<std::shared_ptr<Pending>>;
  const std::lock_guard guard(lock);
  buried->push_back(std::move(pending));
}

struct Message {
  void* data;
  std::size_t bytes;
  int peer;
  bool sending;
};

/// An empty message to everybody, and one from everybody.
std::shared_ptr<Pending> greet(Communicator& over, int tag) {
  auto pending = std::make_shared<Pending>();
  for (int peer = 0; peer < over.size(); ++peer) {
    if (peer == over.rank()) continue;
    pending->requests.push_back(over.receive(nullptr, 0, peer, tag));
    pending->requests.push_back(over.send(nullptr, 0, peer, tag));
  }
  return pending;
}

/// The graphs that messages of a communicator were captured into.
struct Graphs {
  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  int count = 0;
};

/// Held by such a graph, and by what is made of it.
std::shared_ptr<void> reference(std::shared_ptr<Graphs> graphs) {
  {
    const std::lock_guard guard(graphs->mutex);
    ++graphs->count;
  }
  Graphs* const counted = graphs.get();
  return {counted, [graphs = std::move(graphs)](Graphs*) {
            {
              const std::lock_guard guard(graphs->mutex);
              --graphs->count;
            }
            graphs->changed.notify_all();
          }};
}

}  // namespace

struct ncclComm {
  Communicator* over = nullptr;
  int rank = 0, ranks = 0;
  std::shared_ptr<std::atomic<bool>> is_aborted = std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<Graphs> graphs = std::make_shared<Graphs>();
  enum class State { greeting, ready, enqueuing } state = State::greeting;
  std::shared_ptr<Pending> greetings;   // of the start or the end
  cudaStream_t stream = nullptr;
  std::vector<Message> group;           // under construction
  emulator::Task begun;                 // what the next look at the state puts on the stream
};

namespace {

/// Whether it is through, or given up.
emulator::Poll poll_of(const ncclComm& comm, std::shared_ptr<Pending> pending, std::function<void()> at_end) {
  return [is_aborted = comm.is_aborted, pending = std::move(pending), at_end = std::move(at_end)]() mutable {
    if (*is_aborted) {
      bury(std::move(pending));
      return true;
    }
    if (!pending->finished()) return false;
    if (at_end) at_end();
    return true;
  };
}

/// The group as a task of its stream: each time it runs, its messages go out anew (it may be part of a graph).
emulator::Task group_task(const ncclComm& comm, std::vector<Message> messages) {
  return [comm, messages = std::move(messages)]() -> emulator::Poll {
    auto pending = std::make_shared<Pending>();
    for (const Message& message : messages)
      pending->requests.push_back(message.sending ? comm.over->send(message.data, message.bytes, message.peer, kMessage)
                                                  : comm.over->receive(message.data, message.bytes, message.peer, kMessage));
    return poll_of(comm, std::move(pending), nullptr);
  };
}

/// A sum in rank order, of what everybody sends to everybody.
emulator::Task sum_task(const ncclComm& comm, float* values, std::size_t count) {
  return [comm, values, count]() -> emulator::Poll {
    auto pending = std::make_shared<Pending>();
    const auto ranks = static_cast<std::size_t>(comm.ranks);
    pending->memory.assign(ranks, std::vector<float>(values, values + count));  // the others' are overwritten
    for (int peer = 0; peer < comm.ranks; ++peer) {
      if (peer == comm.rank) continue;
      const auto own = static_cast<std::size_t>(comm.rank), theirs = static_cast<std::size_t>(peer);
      const std::size_t bytes = count * sizeof(float);
      pending->requests.push_back(comm.over->receive(pending->memory[theirs].data(), bytes, peer, kSum));
      pending->requests.push_back(comm.over->send(pending->memory[own].data(), bytes, peer, kSum));
    }
    return poll_of(comm, pending, [pending, values, count, ranks] {
      std::copy_n(pending->memory[0].begin(), count, values);
      for (std::size_t rank = 1; rank < ranks; ++rank)
        for (std::size_t i = 0; i < count; ++i) values[i] += pending->memory[rank][i];
    });
  };
}

ncclResult_t add_message(const Message& message, ncclComm_t comm, cudaStream_t stream) {
  if (group_depth == 0 || comm->state != ncclComm::State::ready) return ncclInvalidUsage;
  if (message.peer < 0 || message.peer >= comm->ranks) return ncclInvalidArgument;
  if (std::find(group_comms.begin(), group_comms.end(), comm) == group_comms.end()) group_comms.push_back(comm);
  comm->stream = stream;
  comm->group.push_back(message);
  return ncclSuccess;
}

bool is_captured(const ncclComm& comm) {
  const std::lock_guard guard(comm.graphs->mutex);
  return comm.graphs->count > 0;
}

void forget(ncclComm_t comm) {
  {
    std::unique_lock guard(comm->graphs->mutex);
    comm->graphs->changed.wait(guard, [comm] { return comm->graphs->count == 0; });
  }
  if (comm->greetings) bury(std::move(comm->greetings));
  delete comm;
  const std::lock_guard guard(lock);
  --live;
}

}  // namespace

namespace nccl_emulator {

void set_transport(Communicator& communicator) { transport = &communicator; }

void break_rank(int rank, ncclResult_t error) {
  const std::lock_guard guard(lock);
  broken[rank] = error;
}
void stall_rank(int rank, bool stalls) {
  const std::lock_guard guard(lock);
  if (stalls)
    stalled.insert(rank);
  else
    stalled.erase(rank);
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
  *id = {"the world that the transport spans"};
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
  if (config->blocking != 0 || id.internal[0] == '\0') return ncclInvalidArgument;  // the real one would block, or hang
  if (ranks != transport->size() || rank != transport->rank()) return ncclInvalidArgument;
  *comm = new ncclComm{.over = transport, .rank = rank, .ranks = ranks};
  (*comm)->greetings = greet(*transport, kJoin);
  const std::lock_guard guard(lock);
  ++live;
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  {
    const std::lock_guard guard(lock);
    if (const auto found = broken.find(comm->rank); found != broken.end() && found->second != ncclSuccess) {
      *error = found->second;
      return ncclSuccess;
    }
    if (stalled.contains(comm->rank)) {
      *error = ncclInProgress;
      return ncclSuccess;
    }
  }
  if (comm->state == ncclComm::State::greeting && comm->greetings->finished() && !is_captured(*comm)) {
    comm->greetings.reset();
    comm->state = ncclComm::State::ready;
  }
  *error = comm->state == ncclComm::State::ready ? ncclSuccess : ncclInProgress;
  if (comm->state != ncclComm::State::enqueuing) return ncclSuccess;
  comm->state = ncclComm::State::ready;
  emulator::keep_in_capture(comm->stream, reference(comm->graphs));
  *error = emulator::enqueue_task(comm->stream, std::exchange(comm->begun, nullptr)) == cudaSuccess ? ncclSuccess
                                                                                                    : ncclUnhandledCudaError;
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  if (comm->state != ncclComm::State::ready) return ncclInvalidUsage;
  comm->state = ncclComm::State::greeting;
  comm->greetings = greet(*comm->over, kGoodbye);
  return ncclInProgress;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  forget(comm);
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  *comm->is_aborted = true;
  forget(comm);
  const std::lock_guard guard(lock);
  ++aborted;
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
  for (const ncclComm_t comm : std::exchange(group_comms, {})) {
    comm->state = ncclComm::State::enqueuing;
    comm->begun = group_task(*comm, std::exchange(comm->group, {}));
  }
  return ncclInProgress;
}

ncclResult_t ncclSend(const void* data, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  if (type != ncclInt8) return ncclInvalidArgument;
  return add_message({const_cast<void*>(data), count, peer, true}, comm, stream);
}

ncclResult_t ncclRecv(void* data, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream) {
  if (type != ncclInt8) return ncclInvalidArgument;
  return add_message({data, count, peer, false}, comm, stream);
}

ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
                           cudaStream_t stream) {
  if (from != to || type != ncclFloat || op != ncclSum) return ncclInvalidArgument;
  if (comm->state != ncclComm::State::ready) return ncclInvalidUsage;
  comm->state = ncclComm::State::enqueuing;
  comm->stream = stream;
  comm->begun = sum_task(*comm, static_cast<float*>(to), count);
  return ncclInProgress;
}
