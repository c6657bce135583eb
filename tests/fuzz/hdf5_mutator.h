#pragma once
// Changes to HDF5 files that get past HDF5's own checksums.
#include <cstddef>
#include <cstdint>

namespace convoy::fuzz {

/// Two in three times: changes bytes inside blocks of metadata (superblock versions 2 and 3, object headers of version 2
/// with their continuations) and seals those blocks again with the checksum that the format wants. Else: any change.
std::size_t mutate_hdf5(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed);

}  // namespace convoy::fuzz
