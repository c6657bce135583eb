#include "io/import/file_list.h"

#include <fmt/format.h>

#include <cerrno>

#include "core/tensor/error.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

struct Record {
  std::uint64_t name_begin = 0;
  std::uint32_t name_bytes = 0;
  std::int32_t label = 0;
  std::int64_t size_bytes = 0, changed_ns = 0;
};
static_assert(sizeof(Record) == 32);

fs::path with_ending(fs::path base, const char* ending) { return base += ending; }

void put(std::FILE* file, const void* data, std::size_t size, const fs::path& base) {
  if (size > 0 && std::fwrite(data, 1, size, file) != size)
    throw LibraryError(fmt::format("{}: the list of files cannot be written: {}. Make room there, or choose another --output",
                                   base.string(), system_message(errno)));
}

void get(const FileDescriptor& file, void* data, std::size_t size, std::int64_t offset) {
  std::string why;
  if (!read_exactly(file.get(), static_cast<std::byte*>(data), size, offset, why))
    throw DataError(fmt::format("the import's list of files cannot be read: {}. Run the import again", why));
}

}  // namespace

FileListWriter::FileListWriter(fs::path base)
    : base_(std::move(base)),
      names_(std::fopen(with_ending(base_, ".names").c_str(), "wb")),
      index_(std::fopen(with_ending(base_, ".index").c_str(), "wb")) {
  if (!names_ || !index_)
    throw LibraryError(fmt::format("{}: the list of files cannot be made: {}", base_.string(), system_message(errno)));
}

void FileListWriter::add(const ListedFile& file) {
  const std::string& name = file.file.native();
  const Record record{end_, static_cast<std::uint32_t>(name.size()), file.label, file.size_bytes, file.changed_ns};
  put(names_.get(), name.data(), name.size(), base_);
  put(index_.get(), &record, sizeof record, base_);
  digest_.update(&record, sizeof record);
  digest_.update(name);
  end_ += name.size();
  size_bytes_ += file.size_bytes;
  ++count_;
}

std::string FileListWriter::close() {
  for (auto* file : {&names_, &index_})
    if (std::fclose(file->release()) != 0)
      throw LibraryError(fmt::format("{}: the list of files cannot be written: {}", base_.string(), system_message(errno)));
  return hex(digest_.finish());
}

FileList::FileList(const fs::path& base)
    : names_(open_for_reading(with_ending(base, ".names"))), index_(open_for_reading(with_ending(base, ".index"))) {
  size_ = static_cast<std::int64_t>(fs::file_size(with_ending(base, ".index")) / sizeof(Record));
}

ListedFile FileList::at(std::int64_t index) const {
  Record record;
  get(index_, &record, sizeof record, index * static_cast<std::int64_t>(sizeof record));
  std::string name(record.name_bytes, '\0');
  get(names_, name.data(), name.size(), static_cast<std::int64_t>(record.name_begin));
  return {name, record.label, record.size_bytes, record.changed_ns};
}

}  // namespace convoy
