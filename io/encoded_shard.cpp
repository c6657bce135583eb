#include "io/encoded_shard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/tensor/error.h"
#include "io/crc32c.h"
#include "io/partial_file.h"
#include "io/rehearsal.h"
#include "io/sample_store.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlockBytes = std::size_t{4} << 20;

[[noreturn]] void fail_writing(const fs::path& path, int error) {
  throw LibraryError(fmt::format("{}: cannot be written: {}. Make room there, or choose another --output; running the import "
                                 "again goes on with what is finished",
                                 path.string(), system_message(error)));
}

/// A file in `folder` that has no name: gone when it is closed, however this process ends.
FileDescriptor nameless_file(const fs::path& folder) {
  std::string name = (folder / ".import-XXXXXX").string();
  FileDescriptor file(::mkstemp(name.data()));
  if (!file.valid()) fail_writing(name, errno);
  ::unlink(name.c_str());
  return file;
}

}  // namespace

struct EncodedShardWriter::State {
  fs::path path;
  FileDescriptor pictures;
  std::vector<std::byte> block;         // not yet written
  std::int64_t written = 0;             // bytes of `pictures`
  std::vector<std::uint64_t> offsets{0};
  std::vector<std::int32_t> labels;
  std::vector<std::uint32_t> crcs;
  bool finished = false;

  void flush() {
    for (std::size_t done = 0; done < block.size();) {
      const ssize_t count = ::write(pictures.get(), block.data() + done, block.size() - done);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) fail_writing(path, count < 0 ? errno : ENOSPC);
      done += static_cast<std::size_t>(count);
    }
    written += static_cast<std::int64_t>(block.size());
    block.clear();
  }

  void copy_pictures(PartialFile& file) {
    const hdf5::Dataset bytes = hdf5::create_dataset(file.get(), "image_bytes", DType::u8, Shape{written});
    std::uint32_t crc = 0;
    for (std::int64_t first = 0; first < written;) {
      block.resize(static_cast<std::size_t>(std::min<std::int64_t>(written - first, kBlockBytes)));
      std::string why;
      if (!read_exactly(pictures.get(), block.data(), block.size(), first, why))
        throw LibraryError(fmt::format("{}: the pictures set aside cannot be read: {}", path.string(), why));
      const auto count = static_cast<std::int64_t>(block.size());
      hdf5::write_rows(bytes, first, Tensor::view(block.data(), Shape{count}, DType::u8));
      file.check();
      crc = crc32c(block.data(), block.size(), crc);
      first += count;
    }
    block.clear();
    hdf5::write_number(bytes.get(), "crc32c", crc);
  }
};

EncodedShardWriter::EncodedShardWriter(fs::path path) : state_(std::make_unique<State>()) {
  state_->path = std::move(path);
  std::error_code ignored;
  fs::remove(state_->path, ignored);
  state_->pictures = nameless_file(state_->path.parent_path());
}

EncodedShardWriter::~EncodedShardWriter() {
  std::error_code ignored;
  if (!state_->finished) fs::remove(state_->path, ignored);
}

void EncodedShardWriter::add(std::span<const std::byte> picture, std::int32_t label) {
  State& s = *state_;
  s.block.insert(s.block.end(), picture.begin(), picture.end());
  s.offsets.push_back(s.offsets.back() + picture.size());
  s.crcs.push_back(crc32c(&label, sizeof label, crc32c(picture.data(), picture.size())));
  s.labels.push_back(label);
  if (s.block.size() >= kBlockBytes) s.flush();
}

std::int64_t EncodedShardWriter::samples() const { return static_cast<std::int64_t>(state_->labels.size()); }

void EncodedShardWriter::finish(const ColorSums& sums, std::span<const std::int64_t> class_counts) {
  State& s = *state_;
  s.flush();
  {
    PartialFile file(s.path, hdf5::DescriptorFile::Mode::create);
    s.copy_pictures(file);
    const std::int64_t rows = samples();
    hdf5::write_dataset(file.get(), "image_offsets", Tensor::view(s.offsets.data(), Shape{rows + 1}, DType::u64));
    hdf5::write_dataset(file.get(), "labels", Tensor::view(s.labels.data(), Shape{rows}, DType::i32));
    hdf5::write_dataset(file.get(), "crc32c", Tensor::view(s.crcs.data(), Shape{rows}, DType::u32));
    hdf5::write_numbers<std::uint64_t>(file.get(), "pixel_sums", sums.numbers());
    hdf5::write_numbers<std::int64_t>(file.get(), "class_counts", class_counts);
    file.close();
  }
  sync_to_disk(s.path);
  s.finished = true;
}

namespace {

FinishedShard facts_in(const hdf5::File& file, int channels) {
  const Shape rows = hdf5::shape_of(hdf5::open_dataset(file.get(), "labels"));
  return {rows[0], ColorSums::from_numbers(channels, hdf5::read_numbers<std::uint64_t>(file.get(), "pixel_sums")),
          hdf5::read_numbers<std::int64_t>(file.get(), "class_counts")};
}

/// Throws for anything that is not as finish() left it.
std::optional<FinishedShard> read_finished(const fs::path& path, int channels) {
  const hdf5::File file = hdf5::open_file(path);
  const Tensor offsets = hdf5::read_dataset(file.get(), "image_offsets");
  const Tensor labels = hdf5::read_dataset(file.get(), "labels"), crcs = hdf5::read_dataset(file.get(), "crc32c");
  const hdf5::Dataset bytes = hdf5::open_dataset(file.get(), "image_bytes");
  const auto starts = offsets.values<std::uint64_t>();
  const auto store = open_encoded_store(path, bytes, {starts.begin(), starts.end()});
  std::vector<std::byte> picture;
  std::uint32_t whole = 0;
  for (std::int64_t row = 0; row < labels.shape()[0]; ++row) {
    const auto r = static_cast<std::size_t>(row);
    picture.resize(store->size_bytes(row));
    std::string why;
    if (!store->read(row, picture.data(), why)) return std::nullopt;
    const std::int32_t label = labels.values<std::int32_t>()[r];
    if (crc32c(&label, sizeof label, crc32c(picture.data(), picture.size())) != crcs.values<std::uint32_t>()[r]) return std::nullopt;
    whole = crc32c(picture.data(), picture.size(), whole);
  }
  if (whole != hdf5::read_number<std::uint32_t>(bytes.get(), "crc32c")) return std::nullopt;
  return facts_in(file, channels);
}

}  // namespace

std::optional<FinishedShard> find_finished_shard(const fs::path& path, int channels) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return std::nullopt;
  try {
    rehearse(path.string(), [&] { read_finished(path, channels); });
    return read_finished(path, channels);
  } catch (const Error&) {
    return std::nullopt;  // cut off while it was written: it is made again
  }
}

std::optional<FinishedShard> facts_of_finished_shard(const fs::path& path, int channels) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return std::nullopt;
  return facts_in(hdf5::open_file(path), channels);
}

std::vector<std::uint32_t> crcs_of_finished_shard(const fs::path& path) {
  const hdf5::File file = hdf5::open_file(path);
  const Tensor crcs = hdf5::read_dataset(file.get(), "crc32c");
  const auto values = crcs.values<std::uint32_t>();
  return {values.begin(), values.end()};
}

void seal_shard(const fs::path& path, const ShardHeader& header) {
  {
    PartialFile file(path, hdf5::DescriptorFile::Mode::change);
    for (const std::string& name : hdf5::attribute_names(file.get()))  // of an import that was cut off while it sealed
      if (name != "pixel_sums" && name != "class_counts")
        CONVOY_HDF5(H5Adelete(file.get(), name.c_str()));
    write_shard_header(file.get(), header);
    file.close();
  }
  sync_to_disk(path);
}

}  // namespace convoy
