#pragma once
// Reading a checkpoint without trusting it: every dataset and attribute is looked at on its own, so that a damaged file
// tells all that is wrong with it and not only the first thing. read_checkpoint and verify_checkpoint stand on this.
#include <filesystem>
#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace convoy::checkpoint_format {

/// One dataset ("/parameters/conv1/filters"), attribute ("@step") or the file as a whole ("file").
struct ScanItem {
  std::string name;
  std::string problem;  // empty: verified
};

struct Scan {
  Checkpoint checkpoint;        // complete only if nothing is wrong
  std::vector<ScanItem> items;  // in the order looked at
  /// The first item with a problem, or null.
  const ScanItem* first_problem() const;
};

/// Never throws for what a file holds. Memory for contents stays below the file's size.
Scan scan_checkpoint(const std::filesystem::path& file);

}  // namespace convoy::checkpoint_format
