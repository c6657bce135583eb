#pragma once
// Writes one split of a data set as shards (design: section 6). Samples are streamed: memory holds one block of images
// besides 8 bytes a sample. Sample i of N goes to the shard k of S with floor(kN/S) <= i < floor((k+1)N/S).
//
// Life: add() every sample, seal(), commit(). Until commit() all is under names that end in ".partial" and no
// reader sees it; the destructor of an uncommitted writer removes them, and what a killed import left behind is
// removed by the next one. commit() first takes an old set of the split away, then renames from the last shard to the
// first: at no moment does a reader find a mixture, or a set that is not whole.
// Not for use by several threads.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor/shape.h"
#include "io/color_sums.h"
#include "io/dataset.h"

namespace convoy {

struct SplitSpec {
  Split split = Split::train;
  Shape sample;                          // [s.., c]
  DType dtype = DType::u8;               // u8, u16 or f32
  std::int64_t samples = 0;              // exactly as many will be added
  int shards = 1;
  std::vector<std::string> class_names;  // labels are in [0, class_names.size())
  std::string source;                    // where the samples come from, for people
};

struct SplitReport {
  Split split = Split::train;
  std::int64_t samples = 0;
  std::int64_t size_bytes = 0;           // of all files
  std::vector<std::filesystem::path> files;
  std::vector<double> channel_mean, channel_std;
  std::vector<std::int64_t> class_counts;
};

class ShardWriter {
 public:
  /// Throws UsageError: no samples, more shards than samples, an element type that images do not have.
  ShardWriter(const std::filesystem::path& folder, SplitSpec spec);
  ~ShardWriter();
  ShardWriter(ShardWriter&&) noexcept;

  /// The next sample. `where` names it in errors. Throws DataError: label outside the classes, a float not finite.
  void add(const std::byte* image, std::int32_t label, const std::string& where);
  /// Of the samples so far.
  std::vector<double> channel_mean() const;
  std::vector<double> channel_std() const;
  /// Of the samples so far; empty but for pictures of uint8 with 3 channels.
  ColorSums::Basis color_basis() const;
  /// After the last sample: writes the attributes and brings every byte to the disk. `mean`, `deviation` and `basis` are those
  /// of the training split.
  void seal(const std::vector<double>& mean, const std::vector<double>& deviation, const ColorSums::Basis& basis = {});
  /// Gives the shards their names.
  SplitReport commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Shards that a split of that size is cut into when nobody says: one per 128 MiB, at least 4, at most 1024.
int default_shards(std::int64_t samples, std::size_t image_bytes);

}  // namespace convoy
