#pragma once
// Stacks that take turns on one OS thread.
#include <cstddef>

namespace emulator {

class Fiber {
 public:
  /// The running OS thread's own stack.
  Fiber();
  /// Will call body(argument), which must never return, when it is switched to for the first time.
  Fiber(void (*body)(void*), void* argument);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Goes on in `next`; returns when somebody switches back.
  void switch_to(Fiber& next);
  /// Forgets what the fiber was about: it begins anew. It must not be running.
  void restart();

  struct Machine;  // how it is done on this machine

 private:
  [[noreturn]] static void begin();
  void arrive();

  Machine* machine_;
  void (*body_)(void*) = nullptr;
  void* argument_ = nullptr;
};

}  // namespace emulator
