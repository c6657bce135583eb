#pragma once
// One shard, opened and checked in all but its images. Private to io.
#include <memory>
#include <vector>

#include "io/sample_store.h"
#include "io/shard.h"

namespace convoy {

struct Shard {
  ShardHeader header;
  Shape sample;                          // [s.., c]; [0, 0, c] for encoded pictures
  DType dtype = DType::u8;
  std::vector<std::int32_t> labels;      // [num_samples], each in [0, class_names.size())
  std::vector<std::uint32_t> crcs;       // [num_samples]
  std::uint32_t images_crc = 0;          // of the whole dataset `images` or `image_bytes`
  std::unique_ptr<SampleStore> images;
};

/// Throws DataError naming the file: attributes against the file's name, extents against num_samples, checksums of labels
/// and of checksums, labels within the classes, one mean and deviation per channel.
Shard open_shard(const std::filesystem::path& path);

}  // namespace convoy
