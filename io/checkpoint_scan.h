#pragma once
// Reading a checkpoint without trusting it: every dataset and attribute is looked at on its own, so that a damaged file
// tells all that is wrong with it and not only the first thing. read_checkpoint and verify_checkpoint stand on this.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "io/word_sums.h"

namespace convoy::checkpoint_format {

/// A dataset whose bytes do not have their checksum, though all that describes them is right: what a repair needs.
struct DamagedBytes {
  std::uint64_t offset = 0, size_bytes = 0;  // in the file
  std::uint32_t found = 0, expected = 0;     // CRC-32C
  std::optional<WordSums> sums;              // of the right bytes, where the file has them
  DType dtype = DType::u8;                   // texts: bytes
  Shape shape;
};

/// One dataset ("/parameters/conv1/filters"), attribute ("@step") or the file as a whole ("file").
struct ScanItem {
  std::string name;
  std::string problem;  // empty: verified
  std::optional<DamagedBytes> damage = {};
};

struct Scan {
  Checkpoint checkpoint;        // complete only if nothing is wrong
  std::vector<ScanItem> items;  // in the order looked at
  /// The first item with a problem, or null.
  const ScanItem* first_problem() const;
};

/// Never throws for what a file holds. Memory for contents stays below the file's size.
Scan scan_checkpoint(const std::filesystem::path& file);
/// The same of an open file, which may have no name; `name` is for messages.
Scan scan_checkpoint(int descriptor, const std::filesystem::path& name);

}  // namespace convoy::checkpoint_format
