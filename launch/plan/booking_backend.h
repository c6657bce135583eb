#pragma once
// A backend that binds kernels, so that programs know what memory they need, and takes none: plans of runs that would not fit
// the machine on which they are made.
#include <memory>

#include "core/backend/backend.h"

namespace convoy {

/// Of the cpu. Programs of it cannot run.
std::unique_ptr<Backend> make_booking_backend();

}  // namespace convoy
