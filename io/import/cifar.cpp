// CIFAR-10 and CIFAR-100, binary version (Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images"): records
// of one label byte (CIFAR-100: coarse, then fine), then 1,024 red, 1,024 green and 1,024 blue bytes, row by row.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/tensor/error.h"
#include "io/import/byte_source.h"
#include "io/import/session.h"
#include "io/inside.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPixels = 32 * 32, kImageBytes = 3 * kPixels;

struct CifarKind {
  const char* name;
  const char* folder;             // the archive's own
  const char* train_prefix;       // files PREFIX*.bin
  const char* test_prefix;
  const char* names_file;
  std::size_t label_bytes;        // the last of them is the label
  std::size_t classes;
};
constexpr CifarKind kCifar10{"CIFAR-10", "cifar-10-batches-bin", "data_batch_", "test_batch", "batches.meta.txt", 1, 10};
constexpr CifarKind kCifar100{"CIFAR-100", "cifar-100-binary", "train", "test", "fine_label_names.txt", 2, 100};

fs::path find_folder(const fs::path& source, const CifarKind& kind) {
  refuse_link_out(source, source / kind.folder);
  return fs::is_directory(source / kind.folder) ? source / kind.folder : source;
}

/// PREFIX*.bin in the order of their numbers: data_batch_10 after data_batch_9.
std::vector<fs::path> find_batches(const fs::path& folder, const std::string& prefix) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(".bin")) continue;
    refuse_link_out(folder, entry.path());
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    const std::string x = a.filename().string(), y = b.filename().string();
    return std::pair(x.size(), x) < std::pair(y.size(), y);
  });
  return files;
}

std::int64_t records_in(const fs::path& file, const CifarKind& kind) {
  const auto record = static_cast<std::int64_t>(kind.label_bytes + kImageBytes);
  const std::int64_t bytes = count_bytes(file);
  if (bytes == 0 || bytes % record != 0)
    throw DataError(fmt::format("{}: {} bytes, which is not a whole number of {} records of {} bytes. Fetch it again",
                                file.string(), bytes, kind.name, record));
  return bytes / record;
}

void import_split(ImportSession& session, Split split, const std::vector<fs::path>& files, const CifarKind& kind,
                  const std::vector<std::string>& classes) {
  std::int64_t total = 0, done = 0;
  for (const fs::path& file : files) total += records_in(file, kind);
  ShardWriter& writer = session.add_split({.split = split,
                                           .sample = Shape{32, 32, 3},
                                           .dtype = DType::u8,
                                           .samples = total,
                                           .class_names = classes,
                                           .source = kind.name});
  std::vector<std::byte> record(kind.label_bytes + kImageBytes), image(kImageBytes);
  for (const fs::path& file : files) {
    const auto source = open_bytes(file);
    for (std::int64_t i = 0; source->read(record.data(), record.size()) == record.size(); ++i) {
      const std::byte* planes = record.data() + kind.label_bytes;
      for (std::size_t pixel = 0; pixel < kPixels; ++pixel)
        for (std::size_t channel = 0; channel < 3; ++channel)
          image[3 * pixel + channel] = planes[channel * kPixels + pixel];
      const auto label = std::to_integer<std::int32_t>(record[kind.label_bytes - 1]);
      writer.add(image.data(), label, fmt::format("{}, record {}", file.string(), i));
      session.progress(fmt::format("{}: importing", name_of(split)), ++done, total);
    }
  }
}

std::vector<std::string> class_names(const ImportOptions& options, const fs::path& folder, const CifarKind& kind) {
  if (!options.class_names.empty()) return options.class_names;
  const fs::path file = folder / kind.names_file;
  refuse_link_out(folder, file);
  if (!fs::exists(file)) return numbered_classes(static_cast<int>(kind.classes));
  std::vector<std::string> names = read_lines(file);
  if (names.size() != kind.classes)
    throw DataError(fmt::format("{}: {} class names, expected {}", file.string(), names.size(), kind.classes));
  return names;
}

ImportReport import_cifar(const ImportOptions& options, const CifarKind& kind) {
  ImportSession session(options);
  const fs::path folder = find_folder(options.source, kind);
  const std::vector<fs::path> train = find_batches(folder, kind.train_prefix);
  const std::vector<fs::path> test = find_batches(folder, kind.test_prefix);
  if (train.empty() && test.empty())
    throw DataError(fmt::format("{}: no {} there; expected {}*.bin and {}.bin of the binary version", folder.string(),
                                kind.name, kind.train_prefix, kind.test_prefix));
  const std::vector<std::string> classes = class_names(options, folder, kind);
  if (!train.empty()) session.expect_free(Split::train);
  if (!test.empty()) session.expect_free(Split::test);
  if (!train.empty()) import_split(session, Split::train, train, kind, classes);
  if (!test.empty()) import_split(session, Split::test, test, kind, classes);
  return session.finish(classes, Shape{32, 32, 3}, DType::u8);
}

}  // namespace

ImportReport import_cifar10(const ImportOptions& options) { return import_cifar(options, kCifar10); }
ImportReport import_cifar100(const ImportOptions& options) { return import_cifar(options, kCifar100); }

}  // namespace convoy
