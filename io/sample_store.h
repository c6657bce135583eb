#pragma once
// The samples' images in one HDF5 file: rows of one dataset, or encoded pictures one after the other. Private to io.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "io/hdf5.h"

namespace convoy {

/// Reads rows, little-endian. Any number of threads at once.
class SampleStore {
 public:
  virtual ~SampleStore() = default;
  /// Bytes of a row; all alike but for encoded pictures.
  virtual std::size_t size_bytes(std::int64_t row) const = 0;
  /// One row into `out`. Returns false with the reason in `why` when the bytes cannot be had.
  virtual bool read(std::int64_t row, std::byte* out, std::string& why) const = 0;
  /// Whether HDF5 itself does the reading.
  virtual bool uses_hdf5() const = 0;
};

/// For a dataset of a file that is open: by pread where every row lies in one piece in the file as it is in memory
/// (contiguous, or unfiltered chunks that hold whole rows; HDF5 is asked once where they are and then done with),
/// else by H5Dread, one thread at a time.
/// `dtype` is the type in memory, into which HDF5 converts where it is not the stored one.
std::unique_ptr<SampleStore> open_store(const std::filesystem::path& path, hdf5::Dataset dataset, DType dtype);

/// Encoded pictures: row i is the bytes [offsets[i], offsets[i + 1]) of the contiguous dataset `image_bytes`. Throws DataError
/// for any other dataset, and for offsets that do not rise from 0 to its end.
std::unique_ptr<SampleStore> open_encoded_store(const std::filesystem::path& path, const hdf5::Dataset& image_bytes,
                                                std::vector<std::uint64_t> offsets);

}  // namespace convoy
