#pragma once
// For the log's first lines.
#include <string>

namespace convoy {

/// "1.10.8": the HDF5 library that runs, which may be newer than the one at build time.
std::string hdf5_version();

}  // namespace convoy
