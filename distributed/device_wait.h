#pragma once
// How a host waits for its device: polling, so that a device that hangs, or a peer that is gone, ends the wait.
#include <chrono>
#include <cstdint>
#include <functional>
#include <string_view>

#include "core/backend/device.h"
#include "core/trace/trace.h"

namespace convoy {

struct DeviceWait {
  std::string_view what;           // "gradient bucket 3"
  std::int64_t step = -1;          // under way, counted from 1; -1: none
  std::chrono::milliseconds deadline{};
  trace::Activity activity = trace::Activity::compute;
  std::function<void()> meanwhile = {};  // called at each look; may throw
};

/// Until the event's last record was passed. LibraryError by the deadline; what Device::done and `meanwhile` throw.
void wait_until_done(Device& device, const Event& event, const DeviceWait& wait);

}  // namespace convoy
