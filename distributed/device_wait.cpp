#include "distributed/device_wait.h"

#include <fmt/format.h>

#include <string>

#include "core/tensor/error.h"
#include "distributed/backoff.h"

namespace convoy {

void wait_until_done(Device& device, const Event& event, const DeviceWait& wait) {
  if (device.done(event)) return;
  const trace::Doing waiting(wait.activity, wait.what);
  Backoff backoff;
  while (!device.done(event)) {
    if (wait.meanwhile) wait.meanwhile();
    if (backoff.waited() > wait.deadline)
      throw LibraryError(fmt::format("the device {} has not finished {}{} within {:.1f} s (--timeout)", device.name(), wait.what,
                                     wait.step < 0 ? "" : fmt::format(" of step {}", wait.step),
                                     std::chrono::duration<double>(wait.deadline).count()));
    backoff.pause();
  }
}

}  // namespace convoy
