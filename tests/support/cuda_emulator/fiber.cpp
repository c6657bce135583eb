#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <new>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

// What the sanitizers want to know of stacks that take turns.
#if defined(__SANITIZE_ADDRESS__)
#define CONVOY_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CONVOY_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define CONVOY_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CONVOY_TSAN 1
#endif
#endif
#if defined(CONVOY_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(CONVOY_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace emulator {
namespace {

#if defined(CONVOY_ASAN) || defined(CONVOY_TSAN)
constexpr std::size_t kStackBytes = 256 * 1024;
#else
constexpr std::size_t kStackBytes = 64 * 1024;
#endif

thread_local Fiber* arriving = nullptr;

}  // namespace

struct Fiber::Machine {
  char* stack = nullptr;        // null: the thread's own
#if defined(__x86_64__)
  void* stack_pointer = nullptr;
#else
  ucontext_t context;
#endif
  const void* bottom = nullptr;  // of the stack, as asan sees it
  std::size_t size = 0;
  void* fake_stack = nullptr;
  void* tsan_fiber = nullptr;
  Fiber* previous = nullptr;     // whoever switched here last
};

#if defined(__x86_64__)
extern "C" void convoy_emulator_switch(void** save, void* load);
// Keeps what a called function must keep (System V ABI): rbx, rbp, r12 to r15 and the stack pointer.
asm(R"(
.text
.globl convoy_emulator_switch
.type convoy_emulator_switch, @function
convoy_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size convoy_emulator_switch, . - convoy_emulator_switch
)");
#endif

Fiber::Fiber() : machine_(new Machine) {
#if defined(CONVOY_TSAN)
  machine_->tsan_fiber = __tsan_get_current_fiber();
#endif
}

Fiber::Fiber(void (*body)(void*), void* argument) : machine_(new Machine), body_(body), argument_(argument) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* memory = mmap(nullptr, page + kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  static_cast<void>(mprotect(memory, page, PROT_NONE));  // a stack that is too small ends in a fault, not in garbage
  machine_->stack = static_cast<char*>(memory) + page;
  restart();
}

void Fiber::restart() {
  Machine& m = *machine_;
  m.bottom = m.stack;
  m.size = kStackBytes;
  m.fake_stack = nullptr;
#if defined(CONVOY_ASAN)
  __asan_unpoison_memory_region(m.stack, kStackBytes);
#endif
#if defined(CONVOY_TSAN)
  if (m.tsan_fiber != nullptr) __tsan_destroy_fiber(m.tsan_fiber);
  m.tsan_fiber = __tsan_create_fiber(0);
#endif
#if defined(__x86_64__)
  auto* top = reinterpret_cast<void**>(m.stack + kStackBytes);
  *--top = nullptr;  // so that the stack is aligned as after a call
  *--top = reinterpret_cast<void*>(&Fiber::begin);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  m.stack_pointer = top;
#else
  getcontext(&m.context);
  m.context.uc_stack.ss_sp = m.stack;
  m.context.uc_stack.ss_size = kStackBytes;
  m.context.uc_link = nullptr;
  makecontext(&m.context, reinterpret_cast<void (*)()>(&Fiber::begin), 0);
#endif
}

Fiber::~Fiber() {
#if defined(CONVOY_TSAN)
  if (machine_->stack != nullptr && machine_->tsan_fiber != nullptr) __tsan_destroy_fiber(machine_->tsan_fiber);
#endif
  if (machine_->stack != nullptr) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
#if defined(CONVOY_ASAN)
    __asan_unpoison_memory_region(machine_->stack, kStackBytes);
#endif
    munmap(machine_->stack - page, page + kStackBytes);
  }
  delete machine_;
}

void Fiber::begin() {
  Fiber* self = arriving;
  self->arrive();
  self->body_(self->argument_);
  __builtin_unreachable();
}

/// The first thing on the new stack.
void Fiber::arrive() {
#if defined(CONVOY_ASAN)
  const void* bottom = nullptr;
  std::size_t size = 0;
  __sanitizer_finish_switch_fiber(machine_->fake_stack, &bottom, &size);
  Machine& from = *machine_->previous->machine_;
  if (from.stack == nullptr) from.bottom = bottom, from.size = size;
#endif
}

void Fiber::switch_to(Fiber& next) {
  next.machine_->previous = this;
  arriving = &next;
#if defined(CONVOY_ASAN)
  __sanitizer_start_switch_fiber(&machine_->fake_stack, next.machine_->bottom, next.machine_->size);
#endif
#if defined(CONVOY_TSAN)
  __tsan_switch_to_fiber(next.machine_->tsan_fiber, 0);
#endif
#if defined(__x86_64__)
  convoy_emulator_switch(&machine_->stack_pointer, next.machine_->stack_pointer);
#else
  swapcontext(&machine_->context, &next.machine_->context);
#endif
  arrive();
}

}  // namespace emulator
