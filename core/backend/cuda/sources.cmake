# The sources of this folder, one a line. kernels and common also run on the CPU (tests/support/cuda_emulator).
set(cuda_kernels
)
set(cuda_common
  check.cpp
  kernel.cpp
)
set(cuda_libraries
  module_entry.cpp
)
