#include "io/library_version.h"

#include <fmt/format.h>
#include <png.h>

#include <cstdio>

#include <jpeglib.h>

#include "io/hdf5.h"

namespace convoy {

std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  CONVOY_HDF5(H5get_libversion(&major, &minor, &release));
  return fmt::format("{}.{}.{}", major, minor, release);
}

#define CONVOY_TEXT_OF(words) #words
#define CONVOY_EXPANDED_TEXT(macro) CONVOY_TEXT_OF(macro)

std::string decoder_version(const std::string& encoding) {
  if (encoding == "png") return fmt::format("libpng {}", png_get_libpng_ver(nullptr));
  return "libjpeg-turbo " CONVOY_EXPANDED_TEXT(LIBJPEG_TURBO_VERSION);  // of the headers; it has no function that tells
}

}  // namespace convoy
