#pragma once
// Importers: other formats into shards (design: section 6). Every importer streams: its memory does not grow with the
// images. It writes all splits it finds, or none: shards appear under their names only after every file was read
// without fault.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "io/shard_writer.h"

namespace convoy {

/// How far a long work is; called from the thread that does the work, a few times a second at most.
struct Progress {
  std::string what;          // "train: writing"
  std::int64_t done = 0, total = 0;  // samples
};
using ProgressSink = std::function<void(const Progress&)>;

struct ImportOptions {
  std::filesystem::path source;          // the folder of the original files
  std::filesystem::path output;          // the folder of shards, made if missing
  int shards = 0;                        // per split; 0: default_shards()
  std::vector<std::string> class_names;  // empty: the importer's default
  bool overwrite = false;                // replace splits that `output` already holds
  bool skip_bad = false;                 // image-folder: leave bad files out, and report them, instead of failing
  ProgressSink progress;                 // may be empty
};

struct SkippedFile {
  std::filesystem::path file;
  std::string reason;
};

struct ImportReport {
  std::vector<SplitReport> splits;
  std::vector<std::string> class_names;
  Shape sample;                          // [h, w, c]
  DType dtype = DType::u8;
  std::vector<SkippedFile> skipped;      // bad files (with skip_bad) and files that are no pictures
  std::int64_t hidden = 0;               // files and folders whose name starts with a dot
};

/// MNIST's format (IDX, also Fashion-MNIST and EMNIST): NAME-images-idx3-ubyte beside NAME-labels-idx1-ubyte, each plain or
/// gzip, whatever the name's ending says. The split follows from NAME: a part "train" is train, "t10k" or "test" is
/// test, "validation" or "val" is validation. Elements uint8 or float32. Classes by default "0" to "9".
/// Throws DataError naming the file.
ImportReport import_idx(const ImportOptions& options);

/// CIFAR-10's binary version: data_batch_*.bin and test_batch.bin, names from batches.meta.txt. `source` may be the folder
/// itself or the one that holds cifar-10-batches-bin. Throws DataError naming file and record.
ImportReport import_cifar10(const ImportOptions& options);
/// CIFAR-100's binary version: train.bin, test.bin, the 100 fine labels, names from fine_label_names.txt.
ImportReport import_cifar100(const ImportOptions& options);

/// PNG files in class folders: SOURCE/CLASS/*.png (all train), or SOURCE/train/CLASS/*.png with folders `val` or
/// `validation` and `test` beside it. Classes are the folder names in byte order, or `class_names` (a choice and order of
/// folder names). Whether a file is a PNG is seen by its content. All images have the size, channel count and depth of the
/// first. Train is stored in a shuffled order (fixed, keyed by the position), so that neighbours on disk are of mixed
/// classes; the other splits in byte order of class and file name.
/// Throws DataError naming the bad files.
ImportReport import_image_folder(const ImportOptions& options);

/// The importers by the name that `convoy data import --from=` takes.
struct Importer {
  const char* name;
  const char* summary;
  ImportReport (*run)(const ImportOptions&);
};
const std::vector<Importer>& importers();
/// Throws UsageError listing the known names.
const Importer& find_importer(const std::string& name);

}  // namespace convoy
