#pragma once
// The first part of an import of pictures, by one process: which files there are, written to lists in OUTPUT/.import, and how
// to store them. Private to io/import.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/random/permutation.h"
#include "io/import/convert.h"
#include "io/import/import.h"
#include "io/shard.h"

namespace convoy {

struct SplitPlan {
  Split split = Split::train;
  std::int64_t files = 0;
  int shards = 1;
};

/// What every rank must know.
struct ImportPlan {
  StoredForm form;
  std::string key;                       // SHA-256 over the lists and all options that shape a shard
  std::vector<SplitPlan> splits;
  std::vector<std::string> class_names;
};

/// What the search has to tell beside the plan.
struct SearchReport {
  std::vector<SkippedFile> bad, other;   // the first kSkippedListed of each
  std::int64_t bad_count = 0, hidden = 0;
};
inline constexpr std::size_t kSkippedListed = 1000;

/// The folder in which an import keeps its lists and parts of its report.
std::filesystem::path work_folder(const ImportOptions& options);
/// Where the list of a split lies (FileList's base), and the parts of the report.
std::filesystem::path list_of(const ImportOptions& options, Split split);
std::filesystem::path search_part(const ImportOptions& options);
std::filesystem::path shard_part(const ImportOptions& options, const ImportPlan& plan, Split split, int shard);

/// Throws DataError where there are no pictures, UsageError for options that do not fit.
ImportPlan search_pictures(const ImportOptions& options, SearchReport& report);

/// Of a training split that the output holds already; an import that brings no other goes by its classes and statistics.
std::optional<ShardHeader> stored_train_header(const ImportOptions& options);

/// Plans as text, from rank to rank.
std::string text_of(const ImportPlan& plan);
ImportPlan plan_from(const std::string& text);

/// Where the pictures of a split are stored: position -> index in the list. Train is shuffled, keyed by the position, so that
/// neighbours on disk are of mixed classes.
class StorageOrder {
 public:
  explicit StorageOrder(const SplitPlan& plan);
  std::int64_t operator()(std::int64_t position) const;

 private:
  std::optional<Permutation> shuffled_;  // train alone
};

}  // namespace convoy
