#pragma once
// A fixed set of threads that run one function each and meet at the end. The calling thread is member 0, so a team of
// one starts no thread.
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace convoy {

class ThreadTeam {
 public:
  explicit ThreadTeam(int members);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  /// Runs work(member) on every member; returns when all have returned; rethrows the first member's exception.
  void run(const std::function<void(int)>& work);
  int members() const { return static_cast<int>(threads_.size()) + 1; }

 private:
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable begin_, end_;   // guarded by mutex_, as are all below
  const std::function<void(int)>* work_ = nullptr;
  std::uint64_t round_ = 0;
  int running_ = 0;
  bool ending_ = false;
  std::vector<std::exception_ptr> errors_;

  void member_loop(int member);
};

}  // namespace convoy
