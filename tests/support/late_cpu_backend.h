#pragma once
// The cpu backend's kernels on a device that is none: its memory, streams, events and captures are those of the emulated
// CUDA runtime, so that everything happens late and in a drawn order, and a copy or a wait that is missing shows. The bits
// are the cpu backend's.
#include <memory>

#include "core/backend/backend.h"

namespace convoy::test {

std::unique_ptr<Backend> make_late_cpu_backend();

}  // namespace convoy::test
