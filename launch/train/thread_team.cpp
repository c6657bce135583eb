#include "launch/train/thread_team.h"

#include <string>

#include "core/trace/trace.h"

namespace convoy {

ThreadTeam::ThreadTeam(int members) : errors_(static_cast<std::size_t>(members)) {
  for (int member = 1; member < members; ++member) threads_.emplace_back([this, member] { member_loop(member); });
}

ThreadTeam::~ThreadTeam() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  begin_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadTeam::run(const std::function<void(int)>& work) {
  {
    const std::lock_guard lock(mutex_);
    work_ = &work;
    running_ = static_cast<int>(threads_.size());
    for (std::exception_ptr& error : errors_) error = nullptr;
    ++round_;
  }
  begin_.notify_all();
  try {
    work(0);
  } catch (...) {
    errors_[0] = std::current_exception();
  }
  std::unique_lock lock(mutex_);
  end_.wait(lock, [this] { return running_ == 0; });
  for (const std::exception_ptr& error : errors_)
    if (error) std::rethrow_exception(error);
}

void ThreadTeam::member_loop(int member) {
  trace::name_thread("worker " + std::to_string(member));
  std::uint64_t seen = 0;
  for (;;) {
    const std::function<void(int)>* work = nullptr;
    {
      std::unique_lock lock(mutex_);
      begin_.wait(lock, [&] { return ending_ || round_ != seen; });
      if (ending_) return;
      seen = round_;
      work = work_;
    }
    std::exception_ptr error;
    try {
      (*work)(member);
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    errors_[static_cast<std::size_t>(member)] = error;
    if (--running_ == 0) end_.notify_all();
  }
}

}  // namespace convoy
