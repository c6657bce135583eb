#pragma once
// Writes a shard of encoded pictures (design: section 6) in two steps, so that shards can be made one by one, on any rank, and
// kept when an import is cut off: first the pictures, under a name that ends in ".partial", with what the import needs to
// know them again; then, when all shards of the split are there, the attributes that they share. Private to io.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/color_sums.h"
#include "io/shard.h"

namespace convoy {

/// What a shard that lies finished tells of itself.
struct FinishedShard {
  std::int64_t samples = 0;
  ColorSums sums{3};
  std::vector<std::int64_t> class_counts;
};

/// One shard. Memory: 16 bytes a sample and a block; the pictures wait in a file without a name beside the shard.
class EncodedShardWriter {
 public:
  /// Throws LibraryError. An older file of that name goes.
  explicit EncodedShardWriter(std::filesystem::path path);
  ~EncodedShardWriter();
  /// Throws LibraryError.
  void add(std::span<const std::byte> picture, std::int32_t label);
  std::int64_t samples() const;
  /// Writes the file and brings it to the disk.
  void finish(const ColorSums& sums, std::span<const std::int64_t> class_counts);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A finished shard, every checksum of it verified; nullopt: there is none.
std::optional<FinishedShard> find_finished_shard(const std::filesystem::path& path, int channels);

/// The same, not verified: for a shard that this import has made or verified.
std::optional<FinishedShard> facts_of_finished_shard(const std::filesystem::path& path, int channels);

/// The crc32c of every sample of a finished shard.
std::vector<std::uint32_t> crcs_of_finished_shard(const std::filesystem::path& path);

/// Adds the header to a finished shard, or replaces the one that is there. Throws LibraryError.
void seal_shard(const std::filesystem::path& path, const ShardHeader& header);

}  // namespace convoy
