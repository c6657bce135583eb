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
  conv_cudnn.cpp
  conv_problem.cpp
  cudnn_conv.cpp
  cudnn_descriptor.cpp
  dense_cublas.cpp
  libraries.cpp
  module_entry.cpp
  plan_book.cpp
  trial.cpp
)
# The last: stands in for kernels that other branches still write.
list(APPEND cuda_common missing_kernels.cpp)
