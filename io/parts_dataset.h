#pragma once
// The Dataset behind open_dataset, for convoy's shards and for foreign files alike. Private to io.
#include <memory>
#include <string>
#include <vector>

#include "io/dataset.h"
#include "io/sample_store.h"
#include "io/staging.h"

namespace convoy {

/// One file of a split.
struct DatasetPart {
  std::filesystem::path file;
  std::int64_t first = 0;                 // stored index of its first sample
  std::int64_t rows = 0;
  std::unique_ptr<SampleStore> images;
};

struct DatasetContent {
  DatasetInfo info;                       // stored_samples, not yet `samples` and `fingerprint`
  std::vector<DatasetPart> parts;
  std::vector<std::int32_t> labels;       // of every stored sample
  std::vector<std::uint32_t> crcs;        // likewise: image bytes, then label bytes; empty: not known
  std::string content_digest;             // stands for the crcs in the fingerprint where they are not known
  std::unique_ptr<Stage> stage;           // keeps staged copies alive; null: not staged
  std::vector<std::filesystem::path> originals;  // of the staged copies, for messages
};

/// Which stored samples a split takes.
enum class Selection { all, kept, held_out };

/// Chooses samples, computes the fingerprint. Throws UsageError: a share outside [0, 1), or nothing left.
std::unique_ptr<Dataset> make_parts_dataset(DatasetContent content, Selection selection, double share);

/// The two openers. Files are staged as the options say.
std::unique_ptr<Dataset> open_shards(const DatasetOptions& options);
/// `rehearsal`: only to see whether HDF5 survives it; returns null where HDF5 has no part in reading the images.
std::unique_ptr<Dataset> open_foreign(const DatasetOptions& options, bool rehearsal = false);

/// A message about staged copies, made one about the originals.
std::string about_originals(std::string message, const DatasetContent& content);

/// Stages `files` as the options say and returns the files to open. The stage goes to content.stage.
std::vector<std::filesystem::path> staged(const std::vector<std::filesystem::path>& files, const DatasetOptions& options,
                                          DatasetContent& content);

}  // namespace convoy
