#pragma once
// A stand-in for CUDA's own header of this name, first on the include path of tests: our kernels and our device, compiled
// by the host's compiler, run on the CPU. The real semantics are kept where they hurt: what is enqueued happens late and
// in any order that streams and events allow (emulated_runtime.h), threads of a block run in any order that barriers
// allow (emulated_language.h), and what a kernel must write holds garbage before it did.
// What does not show here: pointers to pageable host memory in a kernel, more than 48 KiB of shared memory, more registers
// than there are.
//
// `__shared__` must be followed by the type at once; alignas goes before it, or `__align__(16)` after it.
#include "emulated_types.h"
#include "emulated_language.h"
#include "emulated_runtime.h"
#include "emulator.h"
