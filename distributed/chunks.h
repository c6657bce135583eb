#pragma once
// Long messages travel in pieces: adding one piece, still warm in the cache, while the next ones are under way.
#include <algorithm>
#include <cstddef>
#include <vector>

#include "distributed/communicator.h"

namespace convoy {

/// Elements [begin, end) of a bucket.
struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::size_t size() const { return end - begin; }
};

/// The pieces of at most `chunk` elements of a range; both ends of a message cut alike.
inline std::vector<Range> chunks_of(const Range& range, std::size_t chunk) {
  std::vector<Range> chunks;
  for (std::size_t begin = range.begin; begin < range.end; begin += chunk) {
    chunks.push_back({begin, std::min(begin + chunk, range.end)});
  }
  return chunks;
}

inline void wait_all(std::vector<RequestPtr>& requests) {
  for (auto& request : requests) request->wait();
  requests.clear();
}

/// Floats of a cache line: slices begin at multiples, so that no two ranks or threads share one.
constexpr std::size_t kSliceAlignment = 16;

/// The slice of a bucket of which a rank finishes the tree. Some are empty where there are more ranks than cache lines.
inline Range slice_of(int rank, int ranks, std::size_t elements) {
  const std::size_t lines = (elements + kSliceAlignment - 1) / kSliceAlignment;
  const auto edge = [&](int r) {
    return std::min(elements, static_cast<std::size_t>(r) * lines / static_cast<std::size_t>(ranks) * kSliceAlignment);
  };
  return {edge(rank), edge(rank + 1)};
}

}  // namespace convoy
