# The sources of this folder, one a line. kernels and common also run on the CPU (tests/support/cuda_emulator).
set(cuda_kernels
  batch_norm.cu
  batch_norm_backward.cu
  channel_operands.cu
  channels.cu
  conv_direct.cu
  dense_direct.cu
  dropout.cu
  elementwise.cu
  loss.cu
  padding.cu
  pool.cu
  prepare.cu
  sums.cu
  update.cu
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
