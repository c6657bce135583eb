#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/random/permutation.h"
#include "core/tensor/error.h"
#include "io/import/folder_scan.h"
#include "io/import/session.h"
#include "io/png.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

/// Reads pictures that must all be like the first one that could be read.
class LikePictures {
 public:
  /// An invalid tensor, with the reason in `fault`: damaged, or unlike the first.
  Tensor read(const fs::path& file, std::string& fault) {
    Tensor picture;
    try {
      picture = read_png(file);
    } catch (const DataError& error) {
      fault = error.what();
      return {};
    }
    if (first_.empty()) {
      first_ = file.string();
      shape_ = picture.shape();
      dtype_ = picture.dtype();
    }
    if (picture.shape() == shape_ && picture.dtype() == dtype_) return picture;
    fault = fmt::format("{}: {} {}, expected {} {} like {}. Bring all images to one size and channel count first",
                        file.string(), name_of(picture.dtype()), picture.shape().str(), name_of(dtype_), shape_.str(), first_);
    return {};
  }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }

 private:
  std::string first_;
  Shape shape_;
  DType dtype_ = DType::u8;
};

/// Makes the first file in scan order that can be read the one that all others must be like.
void choose_reference(const FolderScan& scan, LikePictures& pictures) {
  std::string fault;
  for (const FolderSplit& split : scan.splits)
    for (const FolderImage& image : split.images)
      if (pictures.read(image.file, fault).valid()) return;
}

/// Decodes everything once; moves files that fail from the splits to `bad`.
void set_bad_apart(FolderScan& scan, LikePictures& pictures, ImportSession& session) {
  for (FolderSplit& split : scan.splits) {
    std::vector<FolderImage> good;
    std::int64_t done = 0;
    for (const FolderImage& image : split.images) {
      std::string fault;
      if (pictures.read(image.file, fault).valid())
        good.push_back(image);
      else
        scan.bad.push_back({image.file, fault});
      session.progress(fmt::format("{}: checking", name_of(split.split)), ++done, std::int64_t(split.images.size()));
    }
    split.images = std::move(good);
  }
}

[[noreturn]] void refuse(const fs::path& source, std::vector<SkippedFile> bad) {
  constexpr std::size_t kListed = 10;
  std::ranges::sort(bad, {}, [](const SkippedFile& file) { return file.file.native(); });
  std::string list;
  for (std::size_t i = 0; i < std::min(bad.size(), kListed); ++i) {
    const std::string file = bad[i].file.string();
    list += "\n  " + (bad[i].reason.starts_with(file) ? bad[i].reason : file + ": " + bad[i].reason);
  }
  if (bad.size() > kListed) list += fmt::format("\n  and {} more", bad.size() - kListed);
  throw DataError(fmt::format("{}: {} bad files. Mend or remove them, or leave them out with --skip-bad:{}",
                              source.string(), bad.size(), list));
}

/// Order on disk: shuffled for train, as scanned for the others.
std::vector<std::size_t> storage_order(Split split, std::size_t count) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (split != Split::train || count == 0) return order;
  const Permutation shuffled(RandomKey(0, "import"), count);
  std::transform(order.begin(), order.end(), order.begin(), shuffled);
  return order;
}

void import_split(const FolderSplit& split, const FolderScan& scan, const fs::path& source, LikePictures& pictures,
                  ImportSession& session, std::vector<SkippedFile>& bad) {
  const std::vector<std::size_t> order = storage_order(split.split, split.images.size());
  ShardWriter* writer = nullptr;
  std::int64_t done = 0;
  for (std::size_t i : order) {
    const FolderImage& image = split.images[i];
    std::string fault;
    const Tensor picture = pictures.read(image.file, fault);
    session.progress(fmt::format("{}: importing", name_of(split.split)), ++done, std::int64_t(order.size()));
    if (!picture.valid()) bad.push_back({image.file, fault});
    if (!bad.empty()) continue;  // go on reading only to name every bad file
    if (!writer)
      writer = &session.add_split({.split = split.split,
                                   .sample = picture.shape(),
                                   .dtype = picture.dtype(),
                                   .samples = std::int64_t(order.size()),
                                   .class_names = scan.class_names,
                                   .source = "image folder " + source.filename().string()});
    writer->add(picture.bytes(), image.label, image.file.string());
  }
}

}  // namespace

ImportReport import_image_folder(const ImportOptions& options) {
  ImportSession session(options);
  FolderScan scan = scan_image_folder(options.source, options.class_names);
  for (const FolderSplit& split : scan.splits) session.expect_free(split.split);
  LikePictures pictures;
  choose_reference(scan, pictures);
  if (options.skip_bad) set_bad_apart(scan, pictures, session);
  std::vector<SkippedFile> bad;
  if (!options.skip_bad) bad = scan.bad;
  for (const FolderSplit& split : scan.splits) {
    if (split.images.empty() && bad.empty())
      throw DataError(fmt::format("{}: the {} split holds no PNG files that can be read", options.source.string(),
                                  name_of(split.split)));
    import_split(split, scan, options.source, pictures, session, bad);
  }
  if (!bad.empty()) refuse(options.source, bad);
  ImportReport report = session.finish(scan.class_names, pictures.shape(), pictures.dtype());
  report.skipped = std::move(scan.bad);
  report.skipped.insert(report.skipped.end(), scan.other.begin(), scan.other.end());
  report.hidden = scan.hidden;
  return report;
}

}  // namespace convoy
