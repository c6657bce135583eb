#pragma once
// The files of a split (design: section 6): names, attributes, and which of them make a whole set. Private to io.
//
// A set is whole when a folder holds SPLIT-00000-of-0000N.h5 .. SPLIT-0000(N-1)-of-0000N.h5. Writers work under names that
// end in ".partial" and rename when every shard of the set is finished, so an import that dies leaves either
// partial names, which no reader looks at, or some of the N names, which every reader refuses.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/dataset.h"
#include "io/hdf5.h"

namespace convoy {

inline constexpr std::int64_t kShardVersion = 1;
inline constexpr const char* kPartialSuffix = ".partial";

/// The attributes of a shard.
struct ShardHeader {
  std::string task;
  Split split = Split::train;
  std::int64_t shard_index = 0, shard_count = 1;
  std::int64_t num_samples = 0, total_samples = 0;  // in this shard, in the set
  std::vector<std::string> class_names;
  std::vector<double> channel_mean, channel_std;  // of the training split, in stored units
  std::string source, created_by;
  std::string encoding;                           // "jpeg", "png"; empty: pixels
  std::int64_t channels = 0;                      // of encoded pictures, once decoded: 1 or 3
  std::vector<double> color_values, color_vectors;  // as in DatasetInfo; may be empty
  std::string set_sha256;  // hex, over the crc32c of every sample of the set in order: tells shards of two imports apart
};

/// "convoy 0.1.0": the attribute created_by.
std::string created_by();

/// "train-00002-of-00004.h5".
std::string shard_name(Split split, std::int64_t index, std::int64_t count);

struct ShardName {
  Split split;
  std::int64_t index, count;
};
/// nullopt: not the name of a shard.
std::optional<ShardName> parse_shard_name(const std::string& file_name);

/// The files of a split in order. Empty: the folder holds none of it. Throws DataError: no such folder, a shard is
/// missing, or shards of two sets lie mixed.
std::vector<std::filesystem::path> find_shards(const std::filesystem::path& folder, Split split);
/// The shards of a split that are there, whether or not the set is whole, in byte order.
std::vector<std::filesystem::path> shards_present(const std::filesystem::path& folder, Split split);
/// The splits that a folder holds at least one shard of.
std::vector<Split> splits_in(const std::filesystem::path& folder);

/// Gives finished shards their names, from the last to the first, once an older set of the split has been taken away: at no
/// moment does a reader find a mixture, or a set that is not whole. Returns the names.
std::vector<std::filesystem::path> publish_shards(const std::filesystem::path& folder, Split split,
                                                  const std::vector<std::filesystem::path>& partial_files);

/// Samples of shard `index`: [first, last) of the set's, floor(index N / count) on.
std::int64_t first_sample(std::int64_t index, std::int64_t count, std::int64_t samples);

void write_shard_header(hid_t file, const ShardHeader& header);
/// Throws DataError: not a convoy data set, another version, an attribute missing or out of range.
ShardHeader read_shard_header(hid_t file);

}  // namespace convoy
