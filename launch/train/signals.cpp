#include "launch/train/signals.h"

#include <csignal>

namespace convoy {
namespace {

volatile std::sig_atomic_t checkpoint_asked = 0;
volatile std::sig_atomic_t stop_asked = 0;

void note(int signal) {
  if (signal == SIGUSR1)
    checkpoint_asked = 1;
  else
    stop_asked = 1;
}

}  // namespace

void watch_signals() {
  struct sigaction action {};
  action.sa_handler = note;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (int signal : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT}) sigaction(signal, &action, nullptr);
}

std::array<float, 2> take_asked() {
  const std::array<float, 2> asked{checkpoint_asked ? 1.0F : 0.0F, stop_asked ? 1.0F : 0.0F};
  checkpoint_asked = 0;
  return asked;
}

}  // namespace convoy
