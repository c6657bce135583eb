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
  // image-folder alone:
  std::string encoding = "auto";         // of the stored pictures: jpeg, png, raw (pixels), auto
  int channels = 3;                      // of encoded pictures, once decoded: 1 or 3
  std::int64_t resize_short = 0;         // the shorter side is brought to so many pixels where it is longer; 0: as it is
  int quality = 95;                      // of JPEG that is written
  Split list_split = Split::train;       // what the pictures of a list are
  bool takes_list = false;               // set by the importer: `source` may be a file
  int rank = 0, ranks = 1;               // image-folder: the shards are divided among so many processes
  /// Every rank's text, to every rank; may be empty where ranks is 1.
  std::function<std::vector<std::string>(const std::string&)> all_gather;
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
  std::vector<SkippedFile> skipped;      // bad files (with skip_bad) and files that are no pictures; the first 1,000
  std::int64_t hidden = 0;               // files and folders whose name starts with a dot
  std::string encoding;                  // jpeg, png; empty: pixels
  std::int64_t bad = 0, left_out = 0, converted = 0, kept_odd = 0;  // rows of report_file
  std::int64_t resumed_shards = 0;       // found finished, from an import that was cut off
  std::filesystem::path report_file;     // FILE<TAB>WHAT<TAB>WHY of every file that is not there as it came; may be empty
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

/// JPEG and PNG files in class folders: SOURCE/CLASS/* (all train), or SOURCE/train/CLASS/* with folders `val` or
/// `validation` and `test` beside it; or a file SOURCE of lines PATH<TAB>LABEL. Classes are the folder names in byte order, or
/// `class_names` (a choice and order of folder names). What a file is, is seen by its content. Train is stored in a shuffled
/// order (fixed, keyed by the position), so that neighbours on disk are of mixed classes; the other splits in byte order of
/// class and file name, or in the list's order. A list of another split goes by the classes and statistics of the training
/// split that OUTPUT holds already.
///
/// Encoded (jpeg, png): every file is decoded whole to check it and then stored as it is, or converted: what has another
/// encoding, CMYK, 16 bits, transparency, an EXIF orientation, a longer shorter side than `resize_short`. Ranks make shards each
/// on its own; one that is finished is kept, and found again, verified, by the next import of the same files and
/// options. Memory does not grow with the number of files, but by 16 bytes a sample of one shard and with the names of
/// one folder. raw: pixels as decoded, which must all have the size, channel count and depth of the first; by rank 0 alone.
/// auto: raw where all files are PNG of one size and kind, else jpeg where there is one, else png.
///
/// OUTPUT/import-report.tsv tells of every file that is not stored as it came: FILE<TAB>WHAT<TAB>WHY, WHAT one of bad, left
/// out, converted, kept. Throws DataError naming the first bad files, without skip_bad: then no shard is left.
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
