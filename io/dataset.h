#pragma once
// A split of a data set on disk: sharded HDF5 files as in design.md section 6, or foreign HDF5 files whose datasets the
// user names. Samples are images of one size, or pictures of many sizes, encoded (JPEG, PNG), of which a sample shows a
// view, brought to one size. Opening reads attributes and asks HDF5 where the samples lie; samples are then read with pread, past
// HDF5's global lock (H5Dread only for filtered or chunk-spanning storage).
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"
#include "io/view.h"

namespace convoy {

enum class Split { train, validation, test };
std::string_view name_of(Split split);

/// Where samples are read from: the files as they lie; copies in this node's memory (below /dev/shm, gone with the
/// last process that uses them); copies in a local folder (which stay). `automatic`: ram when the files fit a quarter of
/// memory and the room there, else none. Copies are made once per node and verified, whatever the number of ranks.
enum class StageMode { none, ram, disk, automatic };

struct DatasetOptions {
  std::filesystem::path path;             // folder of shards; a file or folder of files for foreign HDF5
  Split split = Split::train;
  double validation = 0;                  // share held out of train where no validation split is stored
  std::string images, labels;             // foreign HDF5: names of the datasets ("/x", "/y"); empty: convoy's own
  StageMode stage = StageMode::none;
  std::filesystem::path stage_folder;     // for StageMode::disk
  /// Extents (height, width) of every sample: a view of the stored picture, resampled. 0: images as they are stored.
  std::int64_t size[2] = {0, 0};
  std::int64_t resize_short = 0;          // of the evaluation's view; see centre_view()
};

struct DatasetInfo {
  std::string task;                       // "classification", ...
  Shape sample;                           // [s.., c] of one image; [0, 0, c] for encoded pictures without DatasetOptions::size
  Shape stored;                           // the same as it lies in the file, where `sample` is a view of it
  DType dtype = DType::u8;                // as stored: u8, u16 or f32
  std::int64_t samples = 0;               // N after the validation split
  std::int64_t stored_samples = 0;        // of the split as stored; more than `samples` when some were held out
  std::vector<std::string> class_names;
  /// Of the training split, in stored units. A channel that is constant has the deviation 1, so that it may be divided by.
  std::vector<double> channel_mean, channel_std;
  /// SHA-256 (hex) over N, the sample's type and shape, and the CRC-32C of every stored sample in order: the same
  /// samples have the same fingerprint however many shards they lie in.
  std::string fingerprint;
  std::string encoding;                   // of the stored pictures: "jpeg" or "png"; empty: they are stored as pixels
  bool has_views = false;                 // samples are views, of the extents in DatasetOptions::size
  /// Of the covariance of the channels over all pixels of the training split: eigenvalues, largest first, and their
  /// eigenvectors, one after the other. Empty: not known, or not 3 channels.
  std::vector<double> color_values, color_vectors;
  int shards = 0;
  bool verified = true;                   // false: a foreign file above kWholeContentBytes, read without checksums
};

/// Chooses what a sample shows of a picture, once its extents are known.
using ChooseView = std::function<PictureView(std::int64_t height, std::int64_t width)>;

/// Samples of a split. Safe to use from any number of threads.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual const DatasetInfo& info() const = 0;
  /// Bytes of one image as stored.
  virtual std::size_t image_bytes() const = 0;
  /// Reads sample `index` (0 <= index < samples): the image as stored, or the centre view, into `image`, its label into `label`.
  /// Verifies the sample's CRC-32C. Throws DataError naming file and sample. Any number of threads at once.
  virtual void read(std::int64_t index, std::byte* image, std::int32_t* label) const = 0;
  /// The same with another view; only where info().has_views. Throws DataError also for a picture that cannot be decoded.
  virtual void read_view(std::int64_t index, const ChooseView& choose, std::byte* image, std::int32_t* label) const = 0;
  /// What lies in the file: pixels, or an encoded picture. Verifies as read() does.
  virtual void read_stored(std::int64_t index, std::vector<std::byte>& bytes, std::int32_t* label) const = 0;
  /// The label alone, from memory.
  virtual std::int32_t label(std::int64_t index) const = 0;
  /// The id of a sample: its index in the stored split (differs from `index` when validation was held out).
  virtual std::int64_t id(std::int64_t index) const = 0;
  /// "train-00002-of-00004.h5, sample 17": for messages.
  virtual std::string where(std::int64_t index) const = 0;
};

/// Opens a split and checks all but the images: shards complete and of one set, attributes, extents, labels in
/// range, checksums of labels and of checksums. Throws DataError, or UsageError for options that do not fit. Encoded pictures
/// opened without a size can be read by read_stored() alone.
///
/// Foreign HDF5 (`images` and `labels` named). `path` is a file, or a folder whose *.h5 and *.hdf5 files are taken in byte
/// order; where names of files begin with a split's name, those of the split asked for, else all. Images [N,H,W,C] or
/// [N,D,H,W,C] of uint8, uint16 or float32; [N,H,W] is one channel. [N,C,..] is refused: with 4 axes or more, at most 4 on
/// axis 1 and more than 4 on the last. Labels: any integers, [N] or [N,1], from 0. Classes are numbered. Chunked and
/// compressed datasets are read through HDF5, one thread at a time. Statistics and checksums are made at opening, by
/// reading all images up to kWholeContentBytes; above, statistics, and the fingerprint beside all labels, come from
/// kSampledImages images at even distances, and later reads are not verified.
std::unique_ptr<Dataset> open_dataset(const DatasetOptions& options);

inline constexpr std::int64_t kWholeContentBytes = std::int64_t{4} << 30;
inline constexpr std::int64_t kSampledImages = 4096;

/// Whether the sample is held out of train for validation: the first uniform_double of
/// RandomKey(0, "validation").child(id) is below `share`. A pure function of the sample's id.
bool is_held_out(std::int64_t id, double share);

}  // namespace convoy
