#pragma once
// One flipped bit in HDF5's own metadata, found and turned back. In files of the format that convoy writes, every block
// of metadata (superblock, object headers, the heaps and trees of groups) begins with a signature and carries a checksum:
// Bob Jenkins' lookup3 over the block. Private to io.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace convoy::hdf5 {

struct MetadataRepair {
  std::string block;        // "object header"
  std::uint64_t begin = 0;  // of the block, in bytes from the start of the file
  std::uint64_t bit = 0;    // of the file: 8 * byte + bit
};

/// Bits that, turned back, give blocks with a wrong checksum a right one: one for each such block that one bit can mend.
/// Whether that is all that was wrong, a full check of the file decides. Blocks that nobody uses any more may be
/// among them. Looks at the whole file: about a second for a gigabyte.
std::vector<MetadataRepair> find_metadata_repairs(std::span<const std::byte> file);

/// lookup3's hashlittle with the initial value 0: the checksum of HDF5's metadata.
std::uint32_t metadata_checksum(const std::byte* data, std::size_t size_bytes);

}  // namespace convoy::hdf5
