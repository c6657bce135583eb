#include "io/hdf5_contents.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "core/tensor/error.h"

namespace convoy::hdf5 {
namespace {

constexpr hsize_t kDeflateRatio = 1032;  // zlib's technical notes: no stream of n bytes inflates to more than 1032 n

[[noreturn]] void fail(hid_t object, const std::string& what) {
  static_cast<void>(take_error_stack());
  throw DataError(fmt::format("{}: {}", where(object), what));
}

herr_t refuse_link(const char*, const char*, const char*, const char*, unsigned*, hid_t, void*) { return -1; }

Properties staying_inside(hid_t kind) {
  Properties list(CONVOY_HDF5(H5Pcreate(kind)));
  CONVOY_HDF5(H5Pset_elink_cb(list.get(), refuse_link, nullptr));
  return list;
}

struct Extent {
  hsize_t elements = 0, bytes = 0;
};

/// As the header says, with overflow refused.
Extent extent_of(const Dataset& dataset, hid_t type) {
  Extent extent;
  const Shape shape = shape_of(dataset);
  extent.elements = static_cast<hsize_t>(shape.elements());
  if (__builtin_mul_overflow(extent.elements, static_cast<hsize_t>(H5Tget_size(type)), &extent.bytes))
    fail(dataset.get(), fmt::format("the extents {} cannot be right", shape.str()));
  return extent;
}

hsize_t file_size_of(const Dataset& dataset) {
  const File file(CONVOY_HDF5(H5Iget_file_id(dataset.get())));
  hsize_t size = 0;
  CONVOY_HDF5(H5Fget_filesize(file.get(), &size));
  return size;
}

void check_piece(const Dataset& dataset, const Extent& extent, hsize_t file_size) {
  const haddr_t offset = H5Dget_offset(dataset.get());
  const hsize_t stored = H5Dget_storage_size(dataset.get());
  if (stored == 0 || offset == HADDR_UNDEF) fail(dataset.get(), "nothing was ever written to it");
  if (stored != extent.bytes) fail(dataset.get(), "the stored size does not fit the extents");
  if (extent.bytes > file_size || offset > file_size - extent.bytes) fail(dataset.get(), "its bytes lie beyond the end of the file");
}

std::string filter_name(H5Z_filter_t filter) {
  switch (filter) {
    case 32000: return "lzf";
    case 32001: return "blosc";
    case 32004: return "lz4";
    case 32008: return "bitshuffle";
    case 32015: return "zstd";
    case 32026: return "blosc2";
    default: return fmt::format("filter {}", filter);
  }
}

void check_filters(const Dataset& dataset, hid_t creation, int count) {
  for (int i = 0; i < count; ++i) {
    unsigned flags = 0, configuration = 0;
    std::size_t values = 0;
    const H5Z_filter_t filter = H5Pget_filter2(creation, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &configuration);
    if (filter < 0 || filter > H5Z_FILTER_SCALEOFFSET)
      fail(dataset.get(), fmt::format("packed by {}, a plugin, which convoy does not load. Write it again with h5py: "
                                      "f.create_dataset('copy', data=f['NAME'][...], compression='gzip')",
                                      filter < 0 ? "a filter that cannot be read" : filter_name(filter)));
  }
}

void check_chunks(const Dataset& dataset, hid_t creation, const Extent& extent, hsize_t file_size, bool filtered) {
  const Shape shape = shape_of(dataset);
  std::array<hsize_t, H5S_MAX_RANK> chunk{};
  if (CONVOY_HDF5(H5Pget_chunk(creation, static_cast<int>(chunk.size()), chunk.data())) != shape.rank())
    fail(dataset.get(), "its chunks have other axes than its extents");
  if (extent.bytes / (filtered ? kDeflateRatio : 1) > file_size)
    fail(dataset.get(), fmt::format("claims {} bytes in a file of {}", extent.bytes, file_size));
  hsize_t expected = 1, found = 0;  // expected cannot overflow: at most one chunk for each element
  for (int axis = 0; axis < shape.rank(); ++axis) {
    const hsize_t size = chunk[static_cast<std::size_t>(axis)];
    if (size == 0) fail(dataset.get(), "its chunks have an extent of 0");
    const auto whole = static_cast<hsize_t>(shape[axis]);
    expected *= whole / size + (whole % size != 0 ? 1 : 0);
  }
  const Space space(CONVOY_HDF5(H5Dget_space(dataset.get())));  // HDF5 1.10.8 takes no H5S_ALL here
  CONVOY_HDF5(H5Dget_num_chunks(dataset.get(), space.get(), &found));
  if (found != expected)
    fail(dataset.get(), fmt::format("only {} of its {} chunks were ever written", found, expected));
}

/// The datasets below `group`, by their paths, in byte order.
void collect(hid_t group, const std::string& path, std::size_t depth, std::set<haddr_t>& seen, std::vector<std::string>& found,
             std::size_t most) {
  constexpr std::size_t kDeepest = 16;
  for (const std::string& name : members(group)) {
    H5L_info_t link{};
    H5O_info_t info{};
    if (found.size() > most || depth > kDeepest) return;
    if (H5Lget_info(group, name.c_str(), &link, inner_links()) < 0 || link.type != H5L_TYPE_HARD) continue;
    const Object object(H5Oopen(group, name.c_str(), inner_links()));
    if (!object.valid() || H5Oget_info2(object.get(), &info, H5O_INFO_BASIC) < 0 || !seen.insert(info.addr).second) continue;
    const std::string inner = path + "/" + name;
    if (info.type == H5O_TYPE_GROUP) collect(object.get(), inner, depth + 1, seen, found, most);
    if (info.type != H5O_TYPE_DATASET) continue;
    const Dataset dataset(H5Dopen2(group, name.c_str(), inner_dataset()));
    const Type type(dataset.valid() ? H5Dget_type(dataset.get()) : H5I_INVALID_HID);
    if (type.valid()) found.push_back(fmt::format("{} {} {}", inner, type_text(type.get()), shape_of(dataset).str()));
  }
}

}  // namespace

hid_t inner_links() {
  static const Properties list = staying_inside(H5P_LINK_ACCESS);
  return list.get();
}

hid_t inner_dataset() {
  static const Properties list = staying_inside(H5P_DATASET_ACCESS);
  return list.get();
}

void refuse_outer_links(hid_t parent, const std::string& path) {
  quiet();
  for (std::size_t end = path.find_first_not_of('/'); end != std::string::npos && end < path.size();) {
    end = std::min(path.find('/', end), path.size());
    const std::string prefix = path.substr(0, end);
    H5L_info_t link{};
    if (H5Lexists(parent, prefix.c_str(), inner_links()) <= 0 || H5Lget_info(parent, prefix.c_str(), &link, inner_links()) < 0) return;
    if (link.type != H5L_TYPE_HARD && link.type != H5L_TYPE_SOFT)
      fail(parent, fmt::format("\"{}\" is a link into another file, which convoy does not follow. Name that file itself, or "
                               "copy the data here",
                               prefix));
    end = path.find_first_not_of('/', end);
  }
}

Storage check_storage(const Dataset& dataset) {
  const Type type(CONVOY_HDF5(H5Dget_type(dataset.get())));
  const Properties creation(CONVOY_HDF5(H5Dget_create_plist(dataset.get())));
  if (CONVOY_HDF5(H5Pget_external_count(creation.get())) > 0)
    fail(dataset.get(), "its bytes lie in another file, which convoy does not open. Copy it with h5py: "
                        "f.create_dataset('copy', data=f['NAME'][...])");
  const Extent extent = extent_of(dataset, type.get());
  const hsize_t file_size = file_size_of(dataset);
  const int filters = static_cast<int>(CONVOY_HDF5(H5Pget_nfilters(creation.get())));
  check_filters(dataset, creation.get(), filters);
  switch (H5Pget_layout(creation.get())) {
    case H5D_CONTIGUOUS:
      if (extent.bytes > 0) check_piece(dataset, extent, file_size);
      return {};
    case H5D_CHUNKED:
      check_chunks(dataset, creation.get(), extent, file_size, filters > 0);
      return {.filtered = filters > 0};
    case H5D_COMPACT:
      if (H5Dget_storage_size(dataset.get()) != extent.bytes || extent.bytes > file_size)
        fail(dataset.get(), "the stored size does not fit the extents");
      return {};
    default:
      fail(dataset.get(), "a virtual dataset: its elements lie in other files, which convoy does not open. Copy it with h5py: "
                          "f.create_dataset('copy', data=f['NAME'][...])");
  }
}

std::string type_text(hid_t type) {
  quiet();
  const std::size_t bits = 8 * H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_INTEGER: return fmt::format("{}int{}", H5Tget_sign(type) == H5T_SGN_NONE ? "u" : "", bits);
    case H5T_FLOAT: return fmt::format("float{}", bits);
    case H5T_STRING: return "text";
    case H5T_ENUM: return "enum";
    case H5T_COMPOUND: return "compound";
    default: return "another type";
  }
}

std::string list_datasets(const File& file, std::size_t most) {
  quiet();
  std::vector<std::string> found;
  std::set<haddr_t> seen;
  const Object root(CONVOY_HDF5(H5Oopen(file.get(), "/", H5P_DEFAULT)));
  collect(root.get(), "", 0, seen, found, most);
  if (found.empty()) return "no datasets";
  const bool more = found.size() > most;
  if (more) found.resize(most);
  return fmt::format("{}{}", fmt::join(found, ", "), more ? ", and more" : "");
}

}  // namespace convoy::hdf5
