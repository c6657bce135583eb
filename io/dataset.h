#pragma once
// A split of a data set on disk: sharded HDF5 files as in design.md section 6, or foreign HDF5 files whose datasets the
// user names. Opening reads attributes and asks HDF5 where the samples lie; samples are then read with pread, past
// HDF5's global lock (H5Dread only for filtered or chunk-spanning storage).
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"

namespace convoy {

enum class Split { train, validation, test };
std::string_view name_of(Split split);

enum class StageMode { none, ram, disk };

struct DatasetOptions {
  std::filesystem::path path;             // folder of shards; a file or folder of files for foreign HDF5
  Split split = Split::train;
  double validation = 0;                  // share held out of train where no validation split is stored
  std::string images, labels;             // foreign HDF5: names of the datasets ("/x", "/y"); empty: convoy's own
  StageMode stage = StageMode::none;
  std::filesystem::path stage_folder;     // for StageMode::disk
};

struct DatasetInfo {
  std::string task;                       // "classification", ...
  Shape sample;                           // [s.., c] of one image
  DType dtype = DType::u8;                // as stored
  std::int64_t samples = 0;               // N after the validation split
  std::vector<std::string> class_names;
  std::vector<double> channel_mean, channel_std;  // of the training split, in stored units
  std::string fingerprint;                // SHA-256 (hex) over N and the shards' checksums
  int shards = 0;
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual const DatasetInfo& info() const = 0;
  /// Bytes of one image as stored.
  virtual std::size_t image_bytes() const = 0;
  /// Reads sample `index` (0 <= index < samples): the image as stored into `image`, its label into `label`.
  /// Verifies the sample's CRC-32C. Throws DataError naming file and sample. Any number of threads at once.
  virtual void read(std::int64_t index, std::byte* image, std::int32_t* label) const = 0;
  /// The id of a sample: its index in the stored split (differs from `index` when validation was held out).
  virtual std::int64_t id(std::int64_t index) const = 0;
  /// "train-00002-of-00004.h5, sample 17": for messages.
  virtual std::string where(std::int64_t index) const = 0;
};

std::unique_ptr<Dataset> open_dataset(const DatasetOptions& options);

}  // namespace convoy
