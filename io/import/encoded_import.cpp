#include "io/import/encoded_import.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/random/sha256.h"
#include "core/tensor/error.h"
#include "io/encoded_shard.h"
#include "io/import/file_list.h"
#include "io/shard.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

fs::path partial_path(const ImportOptions& options, const SplitPlan& split, int shard) {
  return options.output / (shard_name(split.split, shard, split.shards) + kPartialSuffix);
}

/// What an error says beside the file's name.
std::string reason_of(const DataError& error, const fs::path& file) {
  const std::string text = error.what(), name = file.string() + ": ";
  return text.starts_with(name) ? text.substr(name.size()) : text;
}

class ShardMaker {
 public:
  ShardMaker(const ImportOptions& options, const ImportPlan& plan) : options_(options), plan_(plan), converter_(plan.form) {}

  /// Whether it was there already.
  bool make(const SplitPlan& split, int shard) {
    const fs::path path = partial_path(options_, split, shard);
    // Which import a shard is of, is told by the name of its part of the report, which is written first.
    const fs::path part_path = shard_part(options_, plan_, split.split, shard);
    if (fs::exists(part_path) && find_finished_shard(path, plan_.form.channels)) return true;
    const FileList list(list_of(options_, split.split));
    const StorageOrder order(split);
    EncodedShardWriter writer(path);
    ReportPart part(part_path);
    ColorSums sums(plan_.form.channels);
    std::vector<std::int64_t> class_counts(plan_.class_names.size());
    bool is_whole = true;
    const std::int64_t first = first_sample(shard, split.shards, split.files);
    for (std::int64_t position = first; position < first_sample(shard + 1, split.shards, split.files); ++position) {
      const ListedFile file = list.at(order(position));
      try {
        const ConvertedPicture picture = converter_.convert(read_whole(file.file), file.file);
        if (!picture.why.empty()) part.add(file.file, picture.fate, picture.why);
        sums.add(reinterpret_cast<const std::uint8_t*>(picture.pixels.bytes()), picture.pixels.shape().elements(0, 2));
        writer.add(picture.bytes, file.label);
        ++class_counts[static_cast<std::size_t>(file.label)];
      } catch (const DataError& error) {
        part.add(file.file, Fate::bad, reason_of(error, file.file));
        is_whole = is_whole && options_.skip_bad;
      }
    }
    part.write();
    if (is_whole && writer.samples() > 0) writer.finish(sums, class_counts);
    return false;
  }

 private:
  const ImportOptions& options_;
  const ImportPlan& plan_;
  PictureConverter converter_;
};

/// Files of older imports, cut into another number of shards, that nothing will replace.
void remove_other_partial_files(const ImportOptions& options, const ImportPlan& plan) {
  for (const fs::directory_entry& entry : fs::directory_iterator(options.output)) {
    std::string name = entry.path().filename().string();
    if (!name.ends_with(kPartialSuffix)) continue;
    name.resize(name.size() - std::string_view(kPartialSuffix).size());
    const auto shard = parse_shard_name(name);
    for (const SplitPlan& split : plan.splits)
      if (shard && shard->split == split.split && shard->count != split.shards) fs::remove(entry.path());
  }
}

/// The finished shards of one split.
struct MadeSplit {
  SplitPlan plan;
  std::vector<fs::path> partial_files;
  std::vector<FinishedShard> shards;
  ColorSums sums{3};
  std::int64_t samples = 0;
  std::vector<std::int64_t> class_counts;
};

MadeSplit gather(const ImportOptions& options, const ImportPlan& plan, const SplitPlan& split) {
  MadeSplit made{.plan = split, .sums = ColorSums(plan.form.channels), .class_counts = std::vector<std::int64_t>(plan.class_names.size())};
  for (int shard = 0; shard < split.shards; ++shard) {
    const fs::path path = partial_path(options, split, shard);
    auto finished = facts_of_finished_shard(path, plan.form.channels);
    if (!finished) continue;  // no file of it could be read, and that was allowed
    made.partial_files.push_back(path);
    made.samples += finished->samples;
    made.sums.add(finished->sums);
    for (std::size_t i = 0; i < made.class_counts.size(); ++i) made.class_counts[i] += finished->class_counts.at(i);
    made.shards.push_back(std::move(*finished));
  }
  if (made.samples == 0)
    throw DataError(fmt::format("{}: the {} split holds no picture that can be read", options.source.string(), name_of(split.split)));
  return made;
}

/// Of the training split.
struct Statistics {
  std::vector<double> mean, deviation;
  ColorSums::Basis basis;
};

/// Of the train split among those made; else of the one stored before, if it is of this form; else of the first.
Statistics reference_statistics(const ImportOptions& options, const ImportPlan& plan, const std::vector<MadeSplit>& made) {
  const auto train = std::find_if(made.begin(), made.end(), [](const MadeSplit& split) { return split.plan.split == Split::train; });
  if (train == made.end())
    if (const auto stored = stored_train_header(options); stored && stored->channel_mean.size() == static_cast<std::size_t>(plan.form.channels))
      return {stored->channel_mean, stored->channel_std, {stored->color_values, stored->color_vectors}};
  const ColorSums& sums = (train == made.end() ? made.front() : *train).sums;
  return {sums.mean(), sums.deviation(), sums.basis()};
}

void seal(const ImportOptions& options, const ImportPlan& plan, const MadeSplit& split, const Statistics& reference) {
  Sha256 set;
  for (const fs::path& path : split.partial_files) {
    const std::vector<std::uint32_t> crcs = crcs_of_finished_shard(path);
    set.update(crcs.data(), crcs.size() * sizeof crcs[0]);
  }
  ShardHeader header{.task = "classification",
                     .split = split.plan.split,
                     .shard_count = static_cast<std::int64_t>(split.shards.size()),
                     .total_samples = split.samples,
                     .class_names = plan.class_names,
                     .channel_mean = reference.mean,
                     .channel_std = reference.deviation,
                     .source = "image folder " + options.source.filename().string(),
                     .created_by = created_by(),
                     .encoding = plan.form.encoding,
                     .channels = plan.form.channels,
                     .color_values = reference.basis.values,
                     .color_vectors = reference.basis.vectors,
                     .set_sha256 = hex(set.finish())};
  for (std::size_t i = 0; i < split.shards.size(); ++i) {
    header.shard_index = static_cast<std::int64_t>(i);
    header.num_samples = split.shards[i].samples;
    seal_shard(split.partial_files[i], header);
  }
}

SplitReport publish(const ImportOptions& options, const MadeSplit& split) {
  SplitReport report{.split = split.plan.split,
                     .samples = split.samples,
                     .files = publish_shards(options.output, split.plan.split, split.partial_files),
                     .channel_mean = split.sums.mean(),
                     .channel_std = split.sums.deviation(),
                     .class_counts = split.class_counts};
  for (const fs::path& file : report.files) report.size_bytes += static_cast<std::int64_t>(fs::file_size(file));
  return report;
}

}  // namespace

void make_encoded_shards(const ImportOptions& options, const ImportPlan& plan, std::int64_t& resumed) {
  if (options.rank == 0) remove_other_partial_files(options, plan);
  ShardMaker maker(options, plan);
  for (const SplitPlan& split : plan.splits)
    for (int shard = options.rank; shard < split.shards && split.files > 0; shard += options.ranks) {
      if (maker.make(split, shard)) ++resumed;
      if (options.progress)
        options.progress({fmt::format("{}: files", name_of(split.split)),
                          first_sample(std::min(shard + options.ranks, split.shards), split.shards, split.files), split.files});
    }
}

ImportReport finish_encoded(const ImportOptions& options, const ImportPlan& plan, ImportSession& session) {
  std::vector<MadeSplit> made;
  std::vector<Split> splits;
  for (const SplitPlan& split : plan.splits) {
    made.push_back(gather(options, plan, split));
    splits.push_back(split.split);
  }
  const Statistics reference = reference_statistics(options, plan, made);
  for (const MadeSplit& split : made) seal(options, plan, split, reference);
  ImportReport report{.splits = std::vector<SplitReport>(made.size()),
                      .class_names = plan.class_names,
                      .sample = Shape{0, 0, plan.form.channels},
                      .encoding = plan.form.encoding};
  session.publish(splits, [&](std::size_t i) { report.splits[i] = publish(options, made[i]); });
  return report;
}

}  // namespace convoy
