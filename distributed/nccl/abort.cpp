#include "distributed/nccl/abort.h"

#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

namespace convoy::nccl {

struct Abort::State {
  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  bool under_way = false;

  void set(bool is_under_way) {
    {
      const std::lock_guard lock(mutex);
      under_way = is_under_way;
    }
    changed.notify_all();
  }
};

Abort::Abort() : state_(std::make_shared<State>()) {}

void Abort::start(ncclComm_t communicator) noexcept {
  const auto abort = [state = state_, communicator] {
    static_cast<void>(ncclCommAbort(communicator));
    state->set(false);
  };
  state_->set(true);
  try {
    std::thread(abort).detach();
  } catch (const std::system_error&) {
    abort();  // no thread to be had: better late than never
  }
}

bool Abort::has_ended(std::chrono::milliseconds wait) const {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, wait, [this] { return !state_->under_way; });
}

}  // namespace convoy::nccl
