#pragma once
// What all importers share: the check of the output folder, progress, and the two-phase end. Private to io/import.
#include <chrono>
#include <string>
#include <vector>

#include "io/files.h"
#include "io/import/import.h"

namespace convoy {

/// One run of an importer. Holds a lock on the output folder, so that two imports into it do not mix.
class ImportSession {
 public:
  explicit ImportSession(const ImportOptions& options);

  /// Throws UsageError when the output holds the split and may not replace it. Call before long work.
  void expect_free(Split split) const;
  /// A writer for one split. `spec.shards` and `spec.source` are filled in.
  ShardWriter& add_split(SplitSpec spec);
  /// Calls `name_split` with the position of every split, train last, which gives its finished shards their names. Killed in
  /// between, the import leaves no train split without the others, and can be run again.
  void publish(const std::vector<Split>& splits, const std::function<void(std::size_t)>& name_split);
  void progress(const std::string& what, std::int64_t done, std::int64_t total);
  /// Seals all splits with the statistics of train (or of the first split where there is no train), then publishes them.
  ImportReport finish(const std::vector<std::string>& class_names, const Shape& sample, DType dtype);

 private:
  const ImportOptions& options_;
  FileLock lock_;
  std::vector<Split> splits_;
  std::vector<ShardWriter> writers_;
  std::chrono::steady_clock::time_point last_progress_{};
};

/// Lines of a text file without line ends; empty lines are left out. Throws DataError.
std::vector<std::string> read_lines(const std::filesystem::path& file);
/// "0", "1", ..
std::vector<std::string> numbered_classes(int count);

}  // namespace convoy
