#include "io/partial_file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>

#include "core/tensor/error.h"

namespace convoy {
namespace {

FileDescriptor open_for_writing(const std::filesystem::path& path, hdf5::DescriptorFile::Mode mode) {
  const int flags = mode == hdf5::DescriptorFile::Mode::create ? O_CREAT | O_EXCL : 0;
  FileDescriptor descriptor(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0666));
  if (!descriptor.valid()) throw LibraryError(fmt::format("{}: cannot be made: {}", path.string(), system_message(errno)));
  return descriptor;
}

}  // namespace

PartialFile::PartialFile(std::filesystem::path path, hdf5::DescriptorFile::Mode mode)
    : path_(std::move(path)), descriptor_(open_for_writing(path_, mode)), file_(descriptor_.get(), path_, mode) {}

void PartialFile::check() const {
  if (file_.error() != 0)
    throw LibraryError(fmt::format("{}: cannot be written: {}. Make room there, or choose another --output, and "
                                   "import again",
                                   path_.string(), system_message(file_.error())));
}

void PartialFile::close() {
  file_.close();
  check();
}

}  // namespace convoy
