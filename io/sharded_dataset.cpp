// Opens convoy's own shards.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/random/sha256.h"
#include "core/tensor/error.h"
#include "io/hdf5.h"
#include "io/parts_dataset.h"
#include "io/shard.h"
#include "io/shard_reader.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& file, const std::string& what) {
  throw DataError(fmt::format("{}: {}. Copy or import the set again", file.string(), what));
}

/// Attributes that all shards of a set share, and those that tell a shard its place.
void check_against_first(const fs::path& file, const ShardHeader& header, const ShardHeader& first, std::int64_t index) {
  if (header.shard_index != index)
    fail(file, fmt::format("attribute shard_index is {}, but this is file {} of its set", header.shard_index, index));
  if (header.shard_count != first.shard_count || header.total_samples != first.total_samples ||
      header.task != first.task || header.class_names != first.class_names ||
      header.channel_mean != first.channel_mean || header.channel_std != first.channel_std ||
      header.encoding != first.encoding || header.channels != first.channels ||
      header.color_values != first.color_values || header.color_vectors != first.color_vectors)
    fail(file, "its attributes differ from those of the first shard: the files come from two imports");
}

/// The files of the stored split to open, and which of its samples.
Selection choose(const DatasetOptions& options, std::vector<fs::path>& files) {
  files = find_shards(options.path, options.split);
  if (options.split == Split::test && !files.empty()) return Selection::all;
  if (options.split == Split::validation && !files.empty()) return Selection::all;
  if (options.split == Split::train && !files.empty())
    return options.validation != 0 && find_shards(options.path, Split::validation).empty() ? Selection::kept
                                                                                           : Selection::all;
  if (options.split == Split::validation && options.validation != 0) {
    files = find_shards(options.path, Split::train);
    if (!files.empty()) return Selection::held_out;
  }
  std::vector<std::string_view> present;
  for (Split split : splits_in(options.path)) present.push_back(name_of(split));
  const char* mend = options.split == Split::validation ? ". Hold samples out of train: --data.validation=0.1" : "";
  throw DataError(fmt::format("{}: no {} shards there (files {}-00000-of-*.h5); found: {}{}", options.path.string(),
                              name_of(options.split), name_of(options.split),
                              present.empty() ? "none" : fmt::format("{}", fmt::join(present, ", ")), mend));
}

void append_shard(const fs::path& path, Shard shard, DatasetContent& content) {
  DatasetInfo& info = content.info;
  if (content.parts.empty()) {
    info.sample = shard.sample;
    info.dtype = shard.dtype;
  } else if (shard.sample != info.sample || shard.dtype != info.dtype) {
    fail(path, fmt::format("images of {} {}, but the first shard has {} {}", name_of(shard.dtype), shard.sample.str(),
                           name_of(info.dtype), info.sample.str()));
  }
  const auto rows = static_cast<std::int64_t>(shard.labels.size());
  content.parts.push_back({path, info.stored_samples, rows, std::move(shard.images)});
  content.labels.insert(content.labels.end(), shard.labels.begin(), shard.labels.end());
  content.crcs.insert(content.crcs.end(), shard.crcs.begin(), shard.crcs.end());
  info.stored_samples += rows;
}

}  // namespace

std::unique_ptr<Dataset> open_shards(const DatasetOptions& options) {
  std::vector<fs::path> originals;
  const Selection selection = choose(options, originals);
  DatasetContent content;
  const std::vector<fs::path> files = staged(originals, options, content);
  ShardHeader first;
  for (std::size_t i = 0; i < files.size(); ++i) {
    Shard shard = open_shard(files[i]);
    if (i == 0) first = shard.header;
    check_against_first(files[i], shard.header, first, static_cast<std::int64_t>(i));
    append_shard(files[i], std::move(shard), content);
  }
  DatasetInfo& info = content.info;
  if (first.shard_count != static_cast<std::int64_t>(files.size()) || first.total_samples != info.stored_samples)
    fail(files.front(), fmt::format("announces {} samples in {} shards, but {} are in {}", first.total_samples,
                                    first.shard_count, info.stored_samples, files.size()));
  const std::size_t crc_bytes = content.crcs.size() * sizeof content.crcs[0];
  if (hex(Sha256().update(content.crcs.data(), crc_bytes).finish()) != first.set_sha256)
    fail(files.front(), "the set's checksum (attribute set_sha256) is not that of its shards: they come from two imports");
  info.task = first.task;
  info.class_names = first.class_names;
  info.channel_mean = first.channel_mean;
  info.channel_std = first.channel_std;
  info.encoding = first.encoding;
  info.color_values = first.color_values;
  info.color_vectors = first.color_vectors;
  info.shards = static_cast<int>(files.size());
  return make_parts_dataset(std::move(content), selection, options.validation);
}

}  // namespace convoy
