#include "io/import/raw_import.h"

#include <fmt/format.h>

#include "core/tensor/error.h"
#include "io/import/file_list.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

/// Reads pictures that must all be like the first one that could be read.
class LikePictures {
 public:
  explicit LikePictures(const StoredForm& form) : converter_(form) {}

  /// An invalid tensor, with the reason in `fault`: damaged, or unlike the first.
  Tensor read(const fs::path& file, std::string& fault) {
    Tensor picture;
    try {
      picture = converter_.convert(read_whole(file), file).pixels;
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
    fault = fmt::format("{}: {} {}, expected {} {} like {}. Bring all images to one size and channel count first, or keep them "
                        "encoded: --encoding=png or jpeg",
                        file.string(), name_of(picture.dtype()), picture.shape().str(), name_of(dtype_), shape_.str(), first_);
    return {};
  }
  const Shape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }

 private:
  PictureConverter converter_;
  std::string first_;
  Shape shape_;
  DType dtype_ = DType::u8;
};

class RawImport {
 public:
  RawImport(const ImportOptions& options, const ImportPlan& plan, ImportSession& session, SearchReport& report)
      : options_(options), plan_(plan), session_(session), report_(report), pictures_(plan.form) {}

  ImportReport run() {
    choose_reference();
    std::vector<std::vector<std::int64_t>> left(plan_.splits.size());  // files found good, where bad ones are left out
    for (std::size_t i = 0; i < plan_.splits.size(); ++i) {
      if (options_.skip_bad) left[i] = good_files(plan_.splits[i]);
      store(plan_.splits[i], left[i]);
    }
    if (report_.bad_count > 0 && !options_.skip_bad) return {};
    ImportReport done = session_.finish(plan_.class_names, pictures_.shape(), pictures_.dtype());
    return done;
  }

 private:
  /// Makes the first file in list order that can be read the one that all others must be like.
  void choose_reference() {
    std::string fault;
    for (const SplitPlan& split : plan_.splits) {
      const FileList list(list_of(options_, split.split));
      for (std::int64_t i = 0; i < list.size(); ++i)
        if (pictures_.read(list.at(i).file, fault).valid()) return;
    }
  }

  void set_aside(const fs::path& file, const std::string& fault, ReportPart& part) {
    const std::string name = file.string() + ": ";
    part.add(file, Fate::bad, fault.starts_with(name) ? fault.substr(name.size()) : fault);
    ++report_.bad_count;
    if (report_.bad.size() < kSkippedListed) report_.bad.push_back({file, fault});
  }

  std::vector<std::int64_t> good_files(const SplitPlan& split) {
    const FileList list(list_of(options_, split.split));
    ReportPart part(shard_part(options_, plan_, split.split, 0));
    std::vector<std::int64_t> good;
    for (std::int64_t i = 0; i < list.size(); ++i) {
      std::string fault;
      const fs::path file = list.at(i).file;
      if (pictures_.read(file, fault).valid())
        good.push_back(i);
      else
        set_aside(file, fault, part);
      session_.progress(fmt::format("{}: checking", name_of(split.split)), i + 1, list.size());
    }
    part.write();
    return good;
  }

  void store(SplitPlan split, const std::vector<std::int64_t>& good) {
    if (options_.skip_bad) split.files = static_cast<std::int64_t>(good.size());
    if (split.files == 0 && (options_.skip_bad || report_.bad_count == 0))
      throw DataError(fmt::format("{}: the {} split holds no picture that can be read", options_.source.string(), name_of(split.split)));
    const FileList list(list_of(options_, split.split));
    const StorageOrder order(split);
    ReportPart part(shard_part(options_, plan_, split.split, 0));
    ShardWriter* writer = nullptr;
    for (std::int64_t position = 0; position < split.files; ++position) {
      const std::int64_t index = order(position);
      const ListedFile file = list.at(options_.skip_bad ? good[static_cast<std::size_t>(index)] : index);
      std::string fault;
      const Tensor picture = pictures_.read(file.file, fault);
      session_.progress(fmt::format("{}: importing", name_of(split.split)), position + 1, split.files);
      if (!picture.valid()) set_aside(file.file, fault, part);
      if (!picture.valid() || (report_.bad_count > 0 && !options_.skip_bad)) continue;  // go on only to name every bad file
      if (!writer)
        writer = &session_.add_split({.split = split.split,
                                      .sample = picture.shape(),
                                      .dtype = picture.dtype(),
                                      .samples = split.files,
                                      .class_names = plan_.class_names,
                                      .source = "image folder " + options_.source.filename().string()});
      writer->add(picture.bytes(), file.label, file.file.string());
    }
    if (!options_.skip_bad) part.write();
  }

  const ImportOptions& options_;
  const ImportPlan& plan_;
  ImportSession& session_;
  SearchReport& report_;
  LikePictures pictures_;
};

}  // namespace

ImportReport import_raw(const ImportOptions& options, const ImportPlan& plan, ImportSession& session, SearchReport& report) {
  return RawImport(options, plan, session, report).run();
}

}  // namespace convoy
