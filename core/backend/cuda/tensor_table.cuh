#pragma once
// Kernels over many tensors at once: what describes the tensors travels by value in the kernel's own arguments, so that a
// captured launch reads no host memory, and every block looks up which tensor and which tile of it are its own.
#include <cstddef>
#include <cstdint>

#include "core/backend/cuda/launch.h"

namespace convoy::cuda {

inline constexpr std::size_t kTableBytes = 4000;  // a kernel's arguments may have 4 KiB

/// Tensors of one launch. Entry has `elements` and `first_block`.
template <typename Entry>
struct Table {
  static constexpr int kMost = static_cast<int>((kTableBytes - sizeof(int)) / sizeof(Entry));
  Entry entries[kMost];
  int count;
};

/// The entry that a block belongs to: the last that does not begin behind it.
template <typename Entry>
__device__ __forceinline__ int entry_of(const Table<Entry>& table, int block) {
  int low = 0, high = table.count;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (table.entries[middle].first_block <= block)
      low = middle;
    else
      high = middle;
  }
  return low;
}

inline std::int64_t tiles_of(std::int64_t elements, std::int64_t tile) { return (elements + tile - 1) / tile; }

/// Fills tables with entry(i), i in [0, count), and calls launch(table, blocks) for each.
template <typename Entry, typename Make, typename Launch>
void for_tables(std::size_t count, std::int64_t tile, Make entry, Launch launch) {
  Table<Entry> table{};
  std::int64_t blocks = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Entry& added = table.entries[table.count++] = entry(i);
    added.first_block = static_cast<int>(blocks);
    blocks += tiles_of(added.elements, tile);
    if (i + 1 < count && table.count < Table<Entry>::kMost) continue;
    launch(table, dim3(static_cast<unsigned>(blocks)));
    table.count = 0;
    blocks = 0;
  }
}

}  // namespace convoy::cuda
