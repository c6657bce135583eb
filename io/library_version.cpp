#include "io/library_version.h"

#include <fmt/format.h>

#include "io/hdf5.h"

namespace convoy {

std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  CONVOY_HDF5(H5get_libversion(&major, &minor, &release));
  return fmt::format("{}.{}.{}", major, minor, release);
}

}  // namespace convoy
