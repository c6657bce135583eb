#pragma once
// Runs a function on every rank of a world of threads.
#include <exception>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "distributed/communicator.h"
#include "distributed/threads/thread_world.h"

namespace convoy {

/// Each rank on a thread of its own; rethrows the lowest rank's exception. The deadline keeps a hang short.
inline void on_ranks(int ranks, const std::function<void(Communicator&)>& play) {
  auto world = make_thread_world(ranks);
  std::vector<std::exception_ptr> errors(world.size());
  std::vector<std::thread> threads;
  for (std::size_t r = 0; r < world.size(); ++r) {
    world[r]->set_deadline(std::chrono::seconds(20));
    threads.emplace_back([&, r] {
      try {
        play(*world[r]);
      } catch (...) {
        errors[r] = std::current_exception();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace convoy
