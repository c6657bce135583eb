#pragma once
// NVIDIA's driver, asked before anything of CUDA's is loaded: the libraries behind the CUDA module take a process two hundred
// megabytes, which a machine without a GPU should not pay for.
#include <string>

namespace convoy {

/// Loads libcuda.so.1 at its first call and asks it for devices. One line: there is no driver, it fails, it sees no device;
/// empty: it sees one.
const std::string& why_no_cuda_driver();

}  // namespace convoy
