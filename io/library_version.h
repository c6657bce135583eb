#pragma once
// For the log's first lines, and the run record where bits depend on a library.
#include <string>

namespace convoy {

/// "1.10.8": the HDF5 library that runs, which may be newer than the one at build time.
std::string hdf5_version();

/// "libjpeg-turbo 2.1.5" or "libpng 1.6.39": what decodes pictures of that encoding ("jpeg", "png").
std::string decoder_version(const std::string& encoding);

}  // namespace convoy
