#include "io/import/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "core/tensor/error.h"
#include "io/atomic_file.h"
#include "io/shard.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

FileLock lock_output(const fs::path& folder) {
  if (folder.empty()) throw UsageError("an import needs a folder to write to: --output=DIR");
  std::error_code error;
  fs::create_directories(folder, error);
  if (!fs::is_directory(folder))
    throw UsageError(fmt::format("{}: cannot be made: {}", folder.string(), error ? error.message() : "a file is there"));
  FileLock lock = FileLock::attempt(folder, FileLock::Kind::exclusive);
  if (!lock.held()) throw UsageError(fmt::format("{}: another import is writing there; wait for it", folder.string()));
  return lock;
}

/// There while finished shards get their names, one split after the other: the splits that an import was naming. Where it
/// was killed then, the next one may take their place.
fs::path marker_of(const fs::path& folder) { return folder / ".import-unfinished"; }

bool is_unfinished(const fs::path& folder, Split split) {
  std::ifstream marker(marker_of(folder));
  for (std::string line; std::getline(marker, line);)
    if (line == name_of(split)) return true;
  return false;
}

}  // namespace

ImportSession::ImportSession(const ImportOptions& options) : options_(options), lock_(lock_output(options.output)) {
  remove_dead_temporaries(options.output);
  if (!fs::is_directory(options.source) && !(options.takes_list && fs::is_regular_file(options.source)))
    throw DataError(fmt::format("{}: no such folder; --input names the folder of the original files",
                                options.source.string()));
  if (options.shards < 0) throw UsageError(fmt::format("{} shards; choose at least 1", options.shards));
  writers_.reserve(3);
}

void ImportSession::expect_free(Split split) const {
  const std::vector<Split> held = splits_in(options_.output);
  if (!options_.overwrite && std::find(held.begin(), held.end(), split) != held.end() &&
      !is_unfinished(options_.output, split))
    throw UsageError(fmt::format("{} already holds {} shards; choose another folder, or --overwrite to replace them",
                                 options_.output.string(), name_of(split)));
}

ShardWriter& ImportSession::add_split(SplitSpec spec) {
  expect_free(spec.split);
  const std::size_t image_bytes = static_cast<std::size_t>(spec.sample.elements()) * size_of(spec.dtype);
  spec.shards = options_.shards > 0 ? options_.shards : default_shards(spec.samples, image_bytes);
  splits_.push_back(spec.split);
  return writers_.emplace_back(options_.output, std::move(spec));
}

void ImportSession::progress(const std::string& what, std::int64_t done, std::int64_t total) {
  if (!options_.progress) return;
  const auto now = std::chrono::steady_clock::now();
  if (done < total && now - last_progress_ < std::chrono::milliseconds(250)) return;
  last_progress_ = now;
  options_.progress({what, done, total});
}

ImportReport ImportSession::finish(const std::vector<std::string>& class_names, const Shape& sample, DType dtype) {
  const auto train = std::find(splits_.begin(), splits_.end(), Split::train);
  const auto reference = train == splits_.end() ? 0 : train - splits_.begin();
  const std::vector<double> mean = writers_[static_cast<std::size_t>(reference)].channel_mean();
  const std::vector<double> deviation = writers_[static_cast<std::size_t>(reference)].channel_std();
  const ColorSums::Basis basis = writers_[static_cast<std::size_t>(reference)].color_basis();
  for (ShardWriter& writer : writers_) writer.seal(mean, deviation, basis);
  ImportReport report{.splits = {}, .class_names = class_names, .sample = sample, .dtype = dtype, .skipped = {}};
  report.splits.resize(writers_.size());
  publish(splits_, [&](std::size_t i) { report.splits[i] = writers_[i].commit(); });
  return report;
}

void ImportSession::publish(const std::vector<Split>& splits, const std::function<void(std::size_t)>& name_split) {
  std::string names;
  for (Split split : splits) names += fmt::format("{}\n", name_of(split));
  write_file_atomically(marker_of(options_.output), names);
  // The training split comes last: where it is complete, so are the others, and nobody trains beside half an import.
  for (const bool is_train : {false, true})
    for (std::size_t i = 0; i < splits.size(); ++i)
      if ((splits[i] == Split::train) == is_train) name_split(i);
  fs::remove(marker_of(options_.output));
  sync_folder(options_.output);
}

std::vector<std::string> read_lines(const fs::path& file) {
  std::ifstream in;
  if (std::error_code error; fs::is_regular_file(file, error)) in.open(file);
  if (!in.is_open()) throw DataError(fmt::format("{}: cannot be opened", file.string()));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> numbered_classes(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back(std::to_string(i));
  return names;
}

}  // namespace convoy
