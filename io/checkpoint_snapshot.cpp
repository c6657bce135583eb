#include "io/checkpoint_snapshot.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "io/checkpoint_format.h"

namespace convoy {
namespace {

using checkpoint_format::kGroups;
using checkpoint_format::TensorGroup;

struct Piece {
  std::byte* to;
  const std::byte* from;
  std::size_t size_bytes;
};

constexpr std::size_t kPieceBytes = std::size_t{4} << 20;
constexpr std::size_t kBytesPerThread = std::size_t{32} << 20;  // a thread costs about 50 us, these bytes about 3 ms
constexpr std::size_t kMostThreads = 4;                         // a few saturate the memory

void append_pieces(std::byte* to, const std::byte* from, std::size_t size_bytes, std::vector<Piece>& pieces) {
  for (std::size_t begin = 0; begin < size_bytes; begin += kPieceBytes)
    pieces.push_back({to + begin, from + begin, std::min(kPieceBytes, size_bytes - begin)});
}

std::size_t threads_for(std::size_t size_bytes) {
  const std::size_t useful = size_bytes / kBytesPerThread;
  const std::size_t there = std::max(1u, std::thread::hardware_concurrency());
  return std::clamp<std::size_t>(useful, 1, std::min(there, kMostThreads));
}

void copy_pieces(const std::vector<Piece>& pieces, std::size_t size_bytes) {
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < pieces.size(); i = next++)
      std::memcpy(pieces[i].to, pieces[i].from, pieces[i].size_bytes);
  };
  std::vector<std::jthread> helpers;
  for (std::size_t t = 1; t < threads_for(size_bytes); ++t) helpers.emplace_back(work);
  work();
}

/// The same names in both, each with storage of the right size in `copy`.
void shape_group(const std::map<std::string, Tensor>& like, std::map<std::string, Tensor>& copy) {
  std::erase_if(copy, [&](const auto& entry) { return !like.contains(entry.first); });
  for (const auto& [name, tensor] : like) {
    Tensor& mine = copy[name];
    if (!mine.valid() || mine.dtype() != tensor.dtype() || mine.shape() != tensor.shape())
      mine = Tensor(tensor.shape(), tensor.dtype());
  }
}

}  // namespace

std::int64_t tensor_bytes(const Checkpoint& checkpoint) {
  std::int64_t bytes = 0;
  for (const TensorGroup& group : kGroups)
    for (const auto& [name, tensor] : checkpoint.*group.tensors) bytes += static_cast<std::int64_t>(tensor.size_bytes());
  return bytes;
}

void shape_like(const Checkpoint& like, Checkpoint& copy) {
  for (const TensorGroup& group : kGroups) shape_group(like.*group.tensors, copy.*group.tensors);
}

void copy_into(const Checkpoint& source, Checkpoint& copy) {
  shape_like(source, copy);
  std::vector<Piece> pieces;
  for (const TensorGroup& group : kGroups) {
    auto mine = (copy.*group.tensors).begin();
    for (const auto& [name, tensor] : source.*group.tensors)
      append_pieces((mine++)->second.bytes(), tensor.bytes(), tensor.size_bytes(), pieces);
  }
  copy_pieces(pieces, static_cast<std::size_t>(tensor_bytes(source)));
  copy.step = source.step;
  copy.updates = source.updates;
  copy.loss_scale = source.loss_scale;
  copy.loss_scale_counter = source.loss_scale_counter;
  copy.ledgers = source.ledgers;
  copy.best = source.best;
  copy.skipped_steps = source.skipped_steps;
  copy.mode = source.mode;
  copy.run_record = source.run_record;
  copy.config = source.config;
  copy.graph_hash = source.graph_hash;
  copy.world_size = source.world_size;
  copy.metrics = source.metrics;
  copy.epoch = source.epoch;
}

}  // namespace convoy
