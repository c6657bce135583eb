#include "distributed/nccl/abort.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

namespace convoy::nccl {

struct Abort::State {
  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  bool ended = false;
};

void Abort::start(ncclComm_t communicator) noexcept {
  const auto state = std::make_shared<State>();
  const auto abort = [state, communicator] {
    static_cast<void>(ncclCommAbort(communicator));
    {
      const std::lock_guard lock(state->mutex);
      state->ended = true;
    }
    state->changed.notify_all();
  };
  std::atomic_store(&state_, state);
  try {
    std::thread(abort).detach();
  } catch (const std::system_error&) {
    abort();  // no thread to be had: better late than never
  }
}

bool Abort::has_ended(std::chrono::milliseconds wait) const {
  const auto state = std::atomic_load(&state_);
  if (!state) return true;
  std::unique_lock lock(state->mutex);
  return state->changed.wait_for(lock, wait, [&] { return state->ended; });
}

}  // namespace convoy::nccl
