#include "launch/train/signals.h"

#include <csignal>

namespace convoy {
namespace {

volatile std::sig_atomic_t checkpoint_asked = 0;
volatile std::sig_atomic_t stop_asked = 0;

/// Who asks a second time by SIGTERM or SIGINT (Ctrl-C) will not wait for a step: the signal does what it does without us.
void note(int signal) {
  if (signal == SIGUSR1) {
    checkpoint_asked = 1;
    return;
  }
  if (stop_asked && signal != SIGUSR2 && stop_asked == signal) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
  stop_asked = signal;
}

}  // namespace

void watch_signals() {
  struct sigaction action {};
  action.sa_handler = note;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (int signal : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT}) sigaction(signal, &action, nullptr);
}

void ask_to_stop() {
  if (!stop_asked) stop_asked = SIGUSR2;
}

bool stop_is_asked() { return stop_asked != 0; }

std::array<float, 2> take_asked() {
  const bool checkpoint = checkpoint_asked != 0;
  if (checkpoint) checkpoint_asked = 0;  // one that comes in between asks for the same
  return {checkpoint ? 1.0F : 0.0F, stop_asked ? 1.0F : 0.0F};
}

}  // namespace convoy
