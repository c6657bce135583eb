#pragma once
// The threads of a block on one OS thread.
#include <functional>
#include <stdexcept>

#include "emulated_types.h"

namespace emulator {

/// A kernel did what no GPU would do as meant: a barrier that some threads never reach, an exchange with missing lanes.
class KernelError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Numbers for the order of threads, blocks and streams: xorshift64*.
class Shuffler {
 public:
  explicit Shuffler(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u) {}
  /// Below n.
  std::uint64_t draw(std::uint64_t n) {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return (state_ * 0x2545f4914f6cdd1du >> 32) * n >> 32;
  }
  template <typename Vector>
  void shuffle(Vector& values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[draw(i)]);
  }

 private:
  std::uint64_t state_;
};

/// Runs `thread` for every thread of every block, in an order of the shuffler's. `kernel`: its address, for messages.
/// Throws KernelError.
void run_grid(const void* kernel, dim3 grid, dim3 block, const std::function<void()>& thread, Shuffler& shuffler);

/// Fills all variables that are __shared__ with NaNs (shared_memory.cpp).
void fill_shared_memory();
/// The name of the function at an address, where the program's symbols tell it.
std::string name_of_function(const void* address);

}  // namespace emulator
