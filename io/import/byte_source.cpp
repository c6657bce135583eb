#include "io/import/byte_source.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <vector>

#include "core/tensor/error.h"
#include "io/files.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class PlainFile : public ByteSource {
 public:
  explicit PlainFile(const fs::path& path)
      : path_(path), descriptor_(open_for_reading(path)), size_(static_cast<std::int64_t>(fs::file_size(path))) {}

  std::size_t read(std::byte* out, std::size_t size_bytes) override {
    const std::size_t wanted = std::min(size_bytes, static_cast<std::size_t>(size_ - offset_));
    std::string why;
    if (!read_exactly(descriptor_.get(), out, wanted, offset_, why))
      throw DataError(fmt::format("{}: cannot be read: {}", path_.string(), why));
    offset_ += static_cast<std::int64_t>(wanted);
    return wanted;
  }

 private:
  fs::path path_;
  FileDescriptor descriptor_;
  std::int64_t size_, offset_ = 0;
};

class GzipFile : public ByteSource {
 public:
  explicit GzipFile(const fs::path& path) : path_(path), file_(path), input_(std::size_t{1} << 16) {
    if (inflateInit2(&stream_, MAX_WBITS + 16) != Z_OK) throw LibraryError("zlib: inflateInit2 failed");
  }
  GzipFile(const GzipFile&) = delete;
  GzipFile& operator=(const GzipFile&) = delete;
  ~GzipFile() override { inflateEnd(&stream_); }

  std::size_t read(std::byte* out, std::size_t size_bytes) override {
    constexpr std::size_t kAtOnce = std::size_t{1} << 30;  // zlib counts in unsigned int
    std::size_t done = 0;
    while (done < size_bytes && !ended_) {
      const std::size_t room = std::min(size_bytes - done, kAtOnce);
      stream_.next_out = reinterpret_cast<Bytef*>(out + done);
      stream_.avail_out = static_cast<uInt>(room);
      inflate_some();
      done += room - stream_.avail_out;
    }
    return done;
  }

 private:
  void refill() {
    const std::size_t got = file_.read(input_.data(), input_.size());
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(got);
  }

  void inflate_some() {
    if (stream_.avail_in == 0) refill();
    if (stream_.avail_in == 0) throw DataError(fmt::format("{}: the gzip data are cut short", path_.string()));
    const int status = inflate(&stream_, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      if (stream_.avail_in == 0) refill();
      ended_ = stream_.avail_in == 0;
      if (!ended_ && inflateReset(&stream_) != Z_OK) throw LibraryError("zlib: inflateReset failed");
    } else if (status != Z_OK) {
      throw DataError(fmt::format("{}: the gzip data are damaged: {}", path_.string(),
                                  stream_.msg ? stream_.msg : "unknown content"));
    }
  }

  fs::path path_;
  PlainFile file_;
  std::vector<std::byte> input_;
  z_stream stream_{};
  bool ended_ = false;
};

bool starts_like_gzip(const fs::path& path) {
  std::array<std::byte, 2> start{};
  return PlainFile(path).read(start.data(), start.size()) == 2 && start[0] == std::byte{0x1f} &&
         start[1] == std::byte{0x8b};
}

}  // namespace

std::unique_ptr<ByteSource> open_bytes(const fs::path& path) {
  if (starts_like_gzip(path)) return std::make_unique<GzipFile>(path);
  return std::make_unique<PlainFile>(path);
}

std::int64_t count_bytes(const fs::path& path, std::int64_t enough) {
  if (!starts_like_gzip(path)) return static_cast<std::int64_t>(fs::file_size(path));
  GzipFile source(path);
  std::vector<std::byte> buffer(std::size_t{1} << 18);
  std::int64_t total = 0;
  while (total < enough) {
    const std::size_t got = source.read(buffer.data(), buffer.size());
    if (got == 0) break;
    total += static_cast<std::int64_t>(got);
  }
  return total;
}

}  // namespace convoy
