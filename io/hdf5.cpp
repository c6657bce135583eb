#include "io/hdf5.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "core/tensor/error.h"
#include "io/crc32c.h"
#include "io/hdf5_contents.h"
#include "io/hdf5_reader.h"

namespace convoy::hdf5 {
namespace {

/// A failed call on a file's content: the message names the file and the object.
[[noreturn]] void fail(hid_t object, const std::string& what) {
  const std::string words = take_error_stack();
  throw DataError(fmt::format("{}: {}{}{}", where(object), what, words.empty() ? "" : ". HDF5: ", words));
}

/// Attributes stay in the object's header, whatever their number, because the header is checksummed as a whole while
/// HDF5's separate attribute storage does not checksum attributes above 4 KiB.
void keep_attributes_in_header(hid_t properties) {
  CONVOY_HDF5(H5Pset_attr_phase_change(properties, std::numeric_limits<std::uint16_t>::max() - 1, 0));
  CONVOY_HDF5(H5Pset_obj_track_times(properties, false));
}

Properties access_properties() {
  Properties access(CONVOY_HDF5(H5Pcreate(H5P_FILE_ACCESS)));
  CONVOY_HDF5(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V18, H5F_LIBVER_LATEST));
  // Network file systems often have no locks. Writers use names that nobody else has, readers see finished files.
  CONVOY_HDF5(H5Pset_file_locking(access.get(), false, true));
  CONVOY_HDF5(H5Pset_fclose_degree(access.get(), H5F_CLOSE_SEMI));
  return access;
}

Space space_for(const Shape& shape) {
  std::array<hsize_t, Shape::kMaxRank> extents{};
  for (int axis = 0; axis < shape.rank(); ++axis)
    extents[static_cast<std::size_t>(axis)] = static_cast<hsize_t>(shape[axis]);
  if (shape.rank() == 0) return Space(CONVOY_HDF5(H5Screate(H5S_SCALAR)));
  return Space(CONVOY_HDF5(H5Screate_simple(shape.rank(), extents.data(), nullptr)));
}

/// The file space of `dataset` with rows [first, first + count) selected.
Space select_rows(const Dataset& dataset, std::int64_t first, std::int64_t count) {
  Space space(CONVOY_HDF5(H5Dget_space(dataset.get())));
  std::array<hsize_t, H5S_MAX_RANK> extents{}, start{};
  CONVOY_HDF5(H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr));
  start[0] = static_cast<hsize_t>(first);
  extents[0] = static_cast<hsize_t>(count);
  CONVOY_HDF5(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, extents.data(), nullptr));
  return space;
}

}  // namespace

void quiet() {
  thread_local const bool once = [] {
    static_cast<void>(H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr));
    return true;
  }();
  static_cast<void>(once);
}

std::string take_error_stack() {
  std::string text;
  const auto append = [](unsigned, const H5E_error2_t* entry, void* out) -> herr_t {
    auto& words = *static_cast<std::string*>(out);
    words += fmt::format("{}{}: {}", words.empty() ? "" : "; ", entry->func_name, entry->desc ? entry->desc : "");
    return 0;
  };
  static_cast<void>(H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, append, &text));
  static_cast<void>(H5Eclear2(H5E_DEFAULT));
  return text;
}

std::int64_t check(std::int64_t result, const char* call, const char* file, int line) {
  if (result >= 0) return result;
  const std::filesystem::path source(file);
  throw LibraryError(
      fmt::format("HDF5 failed in {} ({}:{}): {}", call, source.filename().string(), line, take_error_stack()));
}

File create_file(const std::filesystem::path& path) {
  const Properties access = access_properties();
  Properties creation(CONVOY_HDF5(H5Pcreate(H5P_FILE_CREATE)));
  keep_attributes_in_header(creation.get());
  File file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()));
  if (!file.valid())
    throw LibraryError(fmt::format("cannot create {}. HDF5: {}", path.string(), take_error_stack()));
  return file;
}

File open_file(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    throw DataError(fmt::format("{}: no such file", path.string()));
  const Properties access = access_properties();
  set_reader(access.get());
  File file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()));
  if (!file.valid())
    throw DataError(fmt::format("{}: cannot be opened as HDF5 (not HDF5, cut short or damaged). HDF5: {}",
                                path.string(), take_error_stack()));
  return file;
}

File open_to_change(const std::filesystem::path& path) {
  const Properties access = access_properties();
  return File(CONVOY_HDF5(H5Fopen(path.c_str(), H5F_ACC_RDWR, access.get())));
}

void close(File& file) {
  CONVOY_HDF5(H5Fflush(file.get(), H5F_SCOPE_GLOBAL));
  CONVOY_HDF5(H5Fclose(file.release()));
}

std::string where(hid_t object) {
  std::array<char, 4096> file{}, name{};
  static_cast<void>(H5Fget_name(object, file.data(), file.size()));
  static_cast<void>(H5Iget_name(object, name.data(), name.size()));
  const std::string_view inside = name.data();
  const std::string path = std::filesystem::path(file.data()).string();
  return inside.empty() || inside == "/" ? path : fmt::format("{}, {}", path, inside);
}

hid_t stored_type(DType dtype) {
  switch (dtype) {
    case DType::u8: return H5T_STD_U8LE;
    case DType::u16: return H5T_STD_U16LE;
    case DType::i32: return H5T_STD_I32LE;
    case DType::u32: return H5T_STD_U32LE;
    case DType::i64: return H5T_STD_I64LE;
    case DType::u64: return H5T_STD_U64LE;
    case DType::f32: return H5T_IEEE_F32LE;
    case DType::f64: return H5T_IEEE_F64LE;
    default: throw UsageError(fmt::format("{} cannot be stored in HDF5; store float32", name_of(dtype)));
  }
}

hid_t native_type(DType dtype) {
  switch (dtype) {
    case DType::u8: return H5T_NATIVE_UINT8;
    case DType::u16: return H5T_NATIVE_UINT16;
    case DType::i32: return H5T_NATIVE_INT32;
    case DType::u32: return H5T_NATIVE_UINT32;
    case DType::i64: return H5T_NATIVE_INT64;
    case DType::u64: return H5T_NATIVE_UINT64;
    case DType::f32: return H5T_NATIVE_FLOAT;
    case DType::f64: return H5T_NATIVE_DOUBLE;
    default: throw UsageError(fmt::format("{} cannot be stored in HDF5; store float32", name_of(dtype)));
  }
}

bool find_dtype(hid_t type, DType& dtype) {
  quiet();
  const Type native(H5Tget_native_type(type, H5T_DIR_ASCEND));
  if (!native.valid()) return false;
  for (DType candidate : {DType::u8, DType::u16, DType::i32, DType::u32, DType::i64, DType::u64, DType::f32, DType::f64})
    if (H5Tequal(native.get(), native_type(candidate)) > 0) {
      dtype = candidate;
      return true;
    }
  return false;
}

bool exists(hid_t parent, const std::string& path) {
  quiet();
  std::string prefix = path.starts_with('/') ? "/" : "";
  std::size_t begin = 0;
  while (begin < path.size()) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (end > begin) {
      prefix += path.substr(begin, end - begin);
      if (H5Lexists(parent, prefix.c_str(), inner_links()) <= 0) return false;
      prefix += '/';
    }
    begin = end + 1;
  }
  return prefix == "/" || H5Oexists_by_name(parent, path.c_str(), inner_links()) > 0;
}

std::vector<std::string> members(hid_t group) {
  std::vector<std::string> names;
  const auto append = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  quiet();
  // HDF5 1.10.8 frees what it never filled when H5Literate meets a link that cannot be decoded. To look for a name that is
  // not there decodes all links too, and fails in order.
  if (H5Lexists(group, "\x01", H5P_DEFAULT) < 0) fail(group, "the names in this group cannot be read");
  if (H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, append, &names) < 0)
    fail(group, "the names in this group cannot be read");
  std::sort(names.begin(), names.end());
  return names;
}

Dataset open_dataset(hid_t parent, const std::string& path) {
  refuse_outer_links(parent, path);
  if (!exists(parent, path)) fail(parent, fmt::format("there is no dataset \"{}\"", path));
  Dataset dataset(H5Dopen2(parent, path.c_str(), inner_dataset()));
  if (!dataset.valid()) fail(parent, fmt::format("\"{}\" cannot be opened as a dataset", path));
  return dataset;
}

Shape shape_of(const Dataset& dataset) {
  quiet();
  const Space space(H5Dget_space(dataset.get()));
  const int rank = space.valid() ? H5Sget_simple_extent_ndims(space.get()) : -1;
  if (rank < 0) fail(dataset.get(), "the extents cannot be read");
  if (rank > Shape::kMaxRank)
    fail(dataset.get(), fmt::format("{} axes; at most {} are supported", rank, Shape::kMaxRank));
  std::array<hsize_t, Shape::kMaxRank> extents{};
  std::array<std::int64_t, Shape::kMaxRank> checked{};
  if (rank > 0) CONVOY_HDF5(H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr));
  for (std::size_t axis = 0; axis < static_cast<std::size_t>(rank); ++axis) {
    if (extents[axis] > static_cast<hsize_t>(std::numeric_limits<std::int64_t>::max()))
      fail(dataset.get(), fmt::format("axis {} has the impossible extent {}", axis, extents[axis]));
    checked[axis] = static_cast<std::int64_t>(extents[axis]);
  }
  try {
    return Shape(std::span<const std::int64_t>(checked.data(), static_cast<std::size_t>(rank)));
  } catch (const UsageError& error) {
    fail(dataset.get(), error.what());
  }
}

DType dtype_of(const Dataset& dataset) {
  const Type type(CONVOY_HDF5(H5Dget_type(dataset.get())));
  DType dtype{};
  if (!find_dtype(type.get(), dtype))
    fail(dataset.get(), "elements of a type that convoy does not read; it reads uint8, uint16, int32, uint32, int64, "
                        "uint64, float32 and float64");
  return dtype;
}

namespace {

/// The groups of a path that are not there yet. HDF5 would make them itself, but with the time in them: the same content
/// would give other bytes from second to second.
void make_groups(hid_t parent, const std::string& path) {
  const Properties creation(CONVOY_HDF5(H5Pcreate(H5P_GROUP_CREATE)));
  CONVOY_HDF5(H5Pset_obj_track_times(creation.get(), false));
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string name = path.substr(0, slash);
    if (CONVOY_HDF5(H5Lexists(parent, name.c_str(), H5P_DEFAULT)) > 0) continue;
    const Group group(CONVOY_HDF5(H5Gcreate2(parent, name.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT)));
  }
}

}  // namespace

Dataset create_dataset(hid_t parent, const std::string& path, DType dtype, const Shape& shape) {
  const Space space = space_for(shape);
  make_groups(parent, path);
  const Properties creation(CONVOY_HDF5(H5Pcreate(H5P_DATASET_CREATE)));
  CONVOY_HDF5(H5Pset_layout(creation.get(), H5D_CONTIGUOUS));
  CONVOY_HDF5(H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY));
  CONVOY_HDF5(H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER));
  keep_attributes_in_header(creation.get());
  return Dataset(CONVOY_HDF5(H5Dcreate2(parent, path.c_str(), stored_type(dtype), space.get(), H5P_DEFAULT,
                                        creation.get(), H5P_DEFAULT)));
}

void write_dataset(hid_t parent, const std::string& path, const Tensor& tensor) {
  const Dataset dataset = create_dataset(parent, path, tensor.dtype(), tensor.shape());
  if (tensor.elements() > 0)
    CONVOY_HDF5(
        H5Dwrite(dataset.get(), native_type(tensor.dtype()), H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.bytes()));
  write_number(dataset.get(), "crc32c", crc32c(tensor.bytes(), tensor.size_bytes()));
}

Tensor read_dataset(hid_t parent, const std::string& path) {
  const Dataset dataset = open_dataset(parent, path);
  const DType dtype = dtype_of(dataset);
  const Shape shape = shape_of(dataset);
  check_storage(dataset);  // a lying header must not make us take more memory than the file could fill
  Tensor tensor(shape, dtype);
  if (tensor.elements() > 0 &&
      H5Dread(dataset.get(), native_type(dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.bytes()) < 0)
    fail(dataset.get(), "the content cannot be read");
  const auto expected = read_number<std::uint32_t>(dataset.get(), "crc32c");
  const std::uint32_t found = crc32c(tensor.bytes(), tensor.size_bytes());
  if (expected != found)
    fail(dataset.get(),
         fmt::format("the content is damaged: its CRC-32C is {:08x}, but {:08x} was stored", found, expected));
  return tensor;
}

void write_rows(const Dataset& dataset, std::int64_t first, const Tensor& rows) {
  if (rows.elements() == 0) return;
  const Space target = select_rows(dataset, first, rows.shape()[0]);
  const Space memory = space_for(rows.shape());
  CONVOY_HDF5(H5Dwrite(dataset.get(), native_type(rows.dtype()), memory.get(), target.get(), H5P_DEFAULT, rows.bytes()));
}

void read_rows(const Dataset& dataset, std::int64_t first, Tensor& rows) {
  if (rows.elements() == 0) return;
  quiet();
  const std::int64_t count = rows.shape()[0];
  const Space source = select_rows(dataset, first, count);
  const Space memory = space_for(Shape{rows.elements()});
  if (H5Dread(dataset.get(), native_type(rows.dtype()), memory.get(), source.get(), H5P_DEFAULT, rows.bytes()) < 0)
    fail(dataset.get(), fmt::format("rows {} to {} cannot be read", first, first + count - 1));
}

}  // namespace convoy::hdf5
