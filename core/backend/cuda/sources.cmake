# The sources of this folder, one a line. kernels and common also run on the CPU (tests/support/cuda_emulator).
set(cuda_kernels
  sums.cu
)
set(cuda_common
  candidates.cpp
  check.cpp
  cuda_backend.cpp
  cuda_device.cpp
  kernel.cpp
)
set(cuda_libraries
  module_entry.cpp
)
# The last: stands in for kernels that other branches still write.
list(APPEND cuda_common missing_kernels.cpp)
