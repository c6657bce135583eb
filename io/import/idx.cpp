#include "io/import/idx.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <map>

#include "core/tensor/error.h"
#include "io/import/session.h"
#include "io/inside.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

std::uint32_t big_endian(const unsigned char* bytes) {
  return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
}

/// Why the first four bytes are no IDX header of `axes` axes; empty: they are one.
std::string header_fault(const unsigned char* magic, int axes) {
  if (std::memcmp(magic, "vers", 4) == 0)
    return "this looks like a Git LFS pointer in place of the data; fetch the file itself (git lfs pull)";
  if (magic[3] == 0 && magic[2] == 0 && (magic[0] != 0 || magic[1] != 0))
    return "the header is in little-endian byte order; IDX is big-endian";
  if (magic[0] != 0 || magic[1] != 0)
    return fmt::format("not an IDX file: it starts with {:02x} {:02x} {:02x} {:02x}, expected 00 00 08 {:02x}", magic[0],
                       magic[1], magic[2], magic[3], axes);
  if (magic[2] != 0x08 && magic[2] != 0x0D)
    return fmt::format("element type {:02x}; supported are 08 (uint8) and 0d (float32)", magic[2]);
  if (magic[3] != axes) return fmt::format("the header announces {} axes, expected {}", magic[3], axes);
  return {};
}

struct IdxPair {
  Split split;
  fs::path images, labels;
};

/// "train-images-idx3-ubyte.gz" -> "train" and the suffix; nullopt: not a file of images.
struct ImagesName {
  std::string prefix, labels_stem;
};
std::optional<ImagesName> parse_images_name(std::string name) {
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  for (const char* separator : {"-", "."}) {
    const std::size_t at = name.find(fmt::format("images{}idx3-", separator));
    if (at != std::string::npos) return ImagesName{name.substr(0, at), fmt::format("labels{}idx1-", separator)};
  }
  return std::nullopt;
}

/// The split that a name's prefix tells; nullopt: it tells none.
std::optional<Split> split_of(const std::string& prefix) {
  if (prefix.find("t10k") != std::string::npos || prefix.find("test") != std::string::npos) return Split::test;
  if (prefix.find("val") != std::string::npos) return Split::validation;
  if (prefix.find("train") != std::string::npos) return Split::train;
  return std::nullopt;
}

fs::path find_labels(const fs::path& images, const ImagesName& name) {
  std::vector<fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(images.parent_path()))
    if (entry.path().filename().string().starts_with(name.prefix + name.labels_stem)) found.push_back(entry.path());
  if (found.size() == 1) return found.front();
  throw DataError(fmt::format("{}: expected one file of labels beside it ({}{}ubyte, plain or .gz), found {}",
                              images.string(), name.prefix, name.labels_stem, found.size()));
}

std::vector<IdxPair> find_pairs(const fs::path& folder) {
  std::map<Split, fs::path> images;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string file = entry.path().filename().string();
    const auto name = parse_images_name(file);
    const auto split = name && !file.starts_with('.') ? split_of(name->prefix) : std::nullopt;
    if (!split) continue;
    if (const auto [other, fresh] = images.emplace(*split, entry.path()); !fresh)
      throw DataError(fmt::format("{} holds two files of {} images, {} and {}. Leave one there", folder.string(),
                                  name_of(*split), std::min(other->second, entry.path()).filename().string(),
                                  std::max(other->second, entry.path()).filename().string()));
  }
  if (images.empty())
    throw DataError(fmt::format("{}: no IDX images there; expected train-images-idx3-ubyte[.gz] and (or) "
                                "t10k-images-idx3-ubyte[.gz]",
                                folder.string()));
  std::vector<IdxPair> pairs;
  for (const auto& [split, path] : images) {
    pairs.push_back({split, path, find_labels(path, *parse_images_name(path.filename().string()))});
    refuse_link_out(folder, path);
    refuse_link_out(folder, pairs.back().labels);
  }
  return pairs;
}

std::vector<std::uint8_t> read_labels(const fs::path& path, const fs::path& images, std::int64_t expected) {
  IdxFile file(path, 1);
  if (file.dtype() != DType::u8) throw DataError(fmt::format("{}: labels must be uint8", path.string()));
  if (file.shape()[0] != expected)
    throw DataError(fmt::format("{} holds {} labels, but {} holds {} images", path.string(), file.shape()[0],
                                images.filename().string(), expected));
  std::vector<std::uint8_t> labels(static_cast<std::size_t>(expected));
  file.read(reinterpret_cast<std::byte*>(labels.data()), labels.size());
  return labels;
}

void import_pair(ImportSession& session, const IdxPair& pair, const std::vector<std::string>& classes, Shape& sample,
                 DType& dtype) {
  IdxFile images(pair.images, 3);
  const Shape shape{images.shape()[1], images.shape()[2], 1};
  if (sample.rank() == 0) sample = shape, dtype = images.dtype();
  if (shape != sample || images.dtype() != dtype)
    throw DataError(fmt::format("{}: images of {} {}, but the other split has {} {}", pair.images.string(),
                                name_of(images.dtype()), shape.str(), name_of(dtype), sample.str()));
  constexpr std::int64_t kMostElements = std::int64_t{64} << 20;  // as many pixels as a PNG may have
  if (shape.elements() > kMostElements)
    throw DataError(fmt::format("{}: images of {} pixels; at most {} are read", pair.images.string(), shape.elements(), kMostElements));
  const std::int64_t count = images.shape()[0];
  const std::vector<std::uint8_t> labels = read_labels(pair.labels, pair.images, count);
  ShardWriter& writer = session.add_split({.split = pair.split,
                                           .sample = shape,
                                           .dtype = dtype,
                                           .samples = count,
                                           .class_names = classes,
                                           .source = "IDX " + pair.images.filename().string()});
  std::vector<std::byte> image(static_cast<std::size_t>(shape.elements()) * size_of(dtype));
  const std::string labels_name = pair.labels.string();
  for (std::int64_t i = 0; i < count; ++i) {
    images.read(image.data(), image.size());
    writer.add(image.data(), labels[static_cast<std::size_t>(i)], fmt::format("{}, sample {}", labels_name, i));
    session.progress(fmt::format("{}: importing", name_of(pair.split)), i + 1, count);
  }
}

}  // namespace

IdxFile::IdxFile(const fs::path& path, int axes) : path_(path), source_(open_bytes(path)) {
  std::array<unsigned char, 4 + 4 * 4> header{};
  const std::size_t header_bytes = 4 + 4 * static_cast<std::size_t>(axes);
  const std::size_t got = source_->read(reinterpret_cast<std::byte*>(header.data()), header_bytes);
  const std::string fault = got < 4 ? "too short for an IDX file" : header_fault(header.data(), axes);
  if (!fault.empty()) throw DataError(fmt::format("{}: {}", path.string(), fault));
  if (got < header_bytes) throw DataError(fmt::format("{}: the file ends inside its header", path.string()));
  dtype_ = header[2] == 0x08 ? DType::u8 : DType::f32;
  std::array<std::int64_t, 4> extents{};
  auto announced = static_cast<__int128>(size_of(dtype_));
  for (std::size_t axis = 0; axis < static_cast<std::size_t>(axes); ++axis) {
    extents[axis] = big_endian(header.data() + 4 + 4 * axis);
    if (extents[axis] == 0)
      throw DataError(fmt::format("{}: axis {} of the header has the extent 0: there is nothing to import",
                                  path.string(), axis));
    announced *= extents[axis];  // at most 4 * 2^96: axes <= 3
  }
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 2;
  const auto enough = static_cast<std::int64_t>(std::min<__int128>(announced, kMost)) + static_cast<std::int64_t>(header_bytes) + 1;
  const std::int64_t actual = count_bytes(path, enough) - static_cast<std::int64_t>(header_bytes);
  if (announced != actual)
    throw DataError(fmt::format("{}: the header announces {} elements of type {}: {} bytes than the {} that follow. "
                                "The file was cut or damaged; fetch it again",
                                path.string(), fmt::join(std::span(extents).first(static_cast<std::size_t>(axes)), " x "),
                                name_of(dtype_), announced > actual ? "more" : "fewer", actual));
  shape_ = Shape(std::span<const std::int64_t>(extents.data(), static_cast<std::size_t>(axes)));
}

void IdxFile::read(std::byte* out, std::size_t size_bytes) {
  if (source_->read(out, size_bytes) != size_bytes)
    throw DataError(fmt::format("{}: the file became shorter while it was read", path_.string()));
  if (dtype_ != DType::f32) return;
  for (std::size_t i = 0; i + 4 <= size_bytes; i += 4) {
    std::uint32_t word;
    std::memcpy(&word, out + i, 4);
    word = __builtin_bswap32(word);
    std::memcpy(out + i, &word, 4);
  }
}

ImportReport import_idx(const ImportOptions& options) {
  ImportSession session(options);
  const std::vector<IdxPair> pairs = find_pairs(options.source);
  for (const IdxPair& pair : pairs) session.expect_free(pair.split);
  const std::vector<std::string> classes = options.class_names.empty() ? numbered_classes(10) : options.class_names;
  Shape sample;
  DType dtype = DType::u8;
  for (const IdxPair& pair : pairs) import_pair(session, pair, classes, sample, dtype);
  return session.finish(classes, sample, dtype);
}

}  // namespace convoy
