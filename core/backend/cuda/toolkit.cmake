# CONVOY_CUDA=AUTO|ON|OFF: whether the modules for NVIDIA's devices are built (libconvoy_cuda.so here, libconvoy_nccl.so in
# distributed/nccl). They need CUDA's toolkit from 12.0 on and cuDNN from 9.0 on, headers and libraries; building needs no
# device and no driver. AUTO builds them where these are and says in one line what is missing where not; ON then fails.
#   CONVOY_HAS_CUDA    TRUE: the targets convoy_cuda_runtime and convoy_cudnn exist, convoy_cuda_module() makes modules
# The toolkit is looked for on PATH, in $CUDACXX, $CUDA_HOME, $CUDA_PATH and in /usr/local/cuda; cuDNN beside it, then in
# CUDNN_ROOT (a folder with include/ and lib/) and the system's folders.
set(CONVOY_CUDA AUTO CACHE STRING "Build the modules for NVIDIA's devices: AUTO, ON or OFF")
set_property(CACHE CONVOY_CUDA PROPERTY STRINGS AUTO ON OFF)
# Machine code for A100 and H100 / H200, and PTX for what comes later.
set(CONVOY_CUDA_ARCHITECTURES "80-real;90-real;90-virtual" CACHE STRING "Architectures of the CUDA modules")
set(CONVOY_HAS_CUDA FALSE)

# What is missing, as a text; empty: nothing. A macro: enable_language is allowed at the top level only.
macro(convoy_find_cuda missing)
  set(${missing} "")
  include(CheckLanguage)
  find_program(CONVOY_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin /usr/local/cuda/bin)
  if(CONVOY_NVCC AND NOT DEFINED ENV{CUDACXX})
    set(ENV{CUDACXX} ${CONVOY_NVCC})  # where check_language, which tries the compiler, looks for it
  endif()
  # Its default, sm_52, is one that CUDA 13 no longer knows.
  set(CMAKE_CUDA_ARCHITECTURES ${CONVOY_CUDA_ARCHITECTURES})
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    set(${missing} "no CUDA compiler (nvcc) that works")
  else()
    enable_language(CUDA)
    find_package(CUDAToolkit 12.0 QUIET)
    if(NOT CUDAToolkit_FOUND)
      set(${missing} "no CUDA toolkit from 12.0 on")
    elseif(NOT TARGET CUDA::cublasLt OR NOT TARGET CUDA::cudart_static)
      set(${missing} "no cuBLASLt or no static CUDA runtime in ${CUDAToolkit_LIBRARY_ROOT}")
    else()
      find_path(CUDNN_INCLUDE_DIR cudnn_graph.h HINTS ${CUDNN_ROOT} $ENV{CUDNN_ROOT} ${CUDAToolkit_INCLUDE_DIRS}
        PATH_SUFFIXES include)
      find_library(CUDNN_LIBRARY cudnn HINTS ${CUDNN_ROOT} $ENV{CUDNN_ROOT} ${CUDAToolkit_LIBRARY_DIR}
        PATH_SUFFIXES lib lib64)
      if(NOT CUDNN_INCLUDE_DIR OR NOT CUDNN_LIBRARY)
        set(${missing} "no cuDNN from 9.0 on (-DCUDNN_ROOT=FOLDER says where it is)")
      endif()
    endif()
  endif()
endmacro()

if(NOT CONVOY_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "CONVOY_CUDA=${CONVOY_CUDA}: expected AUTO, ON or OFF")
elseif(CONVOY_CUDA STREQUAL OFF)
  message(STATUS "CUDA modules: not built (CONVOY_CUDA=OFF)")
elseif(CONVOY_CUDA STREQUAL AUTO AND CONVOY_SANITIZE)
  # The same kernels run under the sanitizers on the CPU (tests/support/cuda_emulator).
  message(STATUS "CUDA modules: not built with sanitizers")
else()
  convoy_find_cuda(missing)
  if(NOT missing)
    set(CONVOY_HAS_CUDA TRUE)
    message(STATUS "CUDA modules: built with CUDA ${CUDAToolkit_VERSION}, cuDNN in ${CUDNN_LIBRARY}, for ${CONVOY_CUDA_ARCHITECTURES}")
  elseif(CONVOY_CUDA STREQUAL ON)
    message(FATAL_ERROR "CONVOY_CUDA=ON, but there is ${missing}")
  else()
    message(STATUS "CUDA modules: not built, there is ${missing}")
  endif()
endif()

if(CONVOY_HAS_CUDA)
  # Debian 12's CMake, 3.25.1, does not know that nvcc can do this.
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_EXTENSIONS OFF)
  set(CMAKE_CUDA_FLAGS_RELEASE "-O3")
  if(CCACHE)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
  endif()

  # a*b+c must round the same way on every device: no contraction that the source does not ask for (fused() in
  # core/ops/elementwise_math.h). A kernel whose registers spill to memory is a mistake, so it is an error.
  add_library(convoy_cuda_flags INTERFACE)
  target_compile_options(convoy_cuda_flags INTERFACE
    "$<$<COMPILE_LANGUAGE:CUDA>:--fmad=false;--expt-relaxed-constexpr;-Werror=all-warnings>"
    "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra,-Werror,-Wno-psabi,-Wno-missing-field-initializers,-ffp-contract=off>"
    "$<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<CONFIG:Release>>:-Xptxas=--warn-on-spills>")

  # The runtime's static form: a cluster's nodes have the driver, and of the toolkit only the libraries named here. Several
  # copies in one process share the driver's primary context, streams and memory.
  add_library(convoy_cuda_runtime INTERFACE)
  target_include_directories(convoy_cuda_runtime SYSTEM INTERFACE ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(convoy_cuda_runtime INTERFACE CUDA::cudart_static)
  add_library(convoy_cudnn INTERFACE)
  target_include_directories(convoy_cudnn SYSTEM INTERFACE ${CUDNN_INCLUDE_DIR})
  target_link_libraries(convoy_cudnn INTERFACE ${CUDNN_LIBRARY})
endif()

# A part of the binary that is loaded at run time (core/backend/module.h): lib<target>.so, which shows nothing but its
# function <target>_module and takes nothing from the binary.
#   convoy_cuda_module(target FOLDER core/backend/cuda SOURCES ... LINK ...)
function(convoy_cuda_module target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "FOLDER" "SOURCES;LINK")
  set(root ${CMAKE_BINARY_DIR}/rooms/${target})
  cmake_path(GET arg_FOLDER PARENT_PATH parent)
  file(MAKE_DIRECTORY ${root}/${parent})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/${arg_FOLDER} ${root}/${arg_FOLDER} SYMBOLIC)
  add_library(${target} MODULE ${arg_SOURCES})
  target_include_directories(${target} PRIVATE ${root})
  target_link_libraries(${target} PRIVATE ${arg_LINK} convoy_flags convoy_cuda_flags convoy_cuda_runtime)
  set(exports ${CMAKE_BINARY_DIR}/rooms/${target}.exports)
  file(WRITE ${exports} "{ global: ${target}_module; local: *; };\n")
  target_link_options(${target} PRIVATE -Wl,--version-script=${exports} -Wl,--no-undefined)
  set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR} LINK_DEPENDS ${exports}
    CXX_VISIBILITY_PRESET hidden CUDA_VISIBILITY_PRESET hidden LINKER_LANGUAGE CXX CUDA_RUNTIME_LIBRARY None)
endfunction()
