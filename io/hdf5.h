#pragma once
// HDF5's C API behind owners that close and calls that are checked. Private to io: no header that another room includes
// may include this one, for it pulls in HDF5.
//
// Threads: HDF5 takes one global lock inside each call; an object of this file belongs to one thread at a time.
// Files written here have H5F_LIBVER_V18 as their oldest format, which checksums HDF5's own metadata, and store no time
// stamps: the same content gives the same bytes.
#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tensor/tensor.h"

namespace convoy::hdf5 {

/// Owner of an HDF5 id. The destructor is the fallback and tolerates a failing close; where closing can lose data,
/// call close() below.
template <herr_t (*Close)(hid_t)>
class Handle {
 public:
  Handle() = default;
  explicit Handle(hid_t raw) noexcept : raw_(raw) {}
  Handle(Handle&& other) noexcept : raw_(std::exchange(other.raw_, H5I_INVALID_HID)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~Handle() {
    if (raw_ >= 0) static_cast<void>(Close(raw_));
  }
  hid_t get() const noexcept { return raw_; }
  bool valid() const noexcept { return raw_ >= 0; }
  hid_t release() noexcept { return std::exchange(raw_, H5I_INVALID_HID); }

 private:
  hid_t raw_ = H5I_INVALID_HID;
};

using File = Handle<H5Fclose>;
using Group = Handle<H5Gclose>;
using Dataset = Handle<H5Dclose>;
using Object = Handle<H5Oclose>;
using Space = Handle<H5Sclose>;
using Type = Handle<H5Tclose>;
using Attribute = Handle<H5Aclose>;
using Properties = Handle<H5Pclose>;

/// Turns off HDF5's printing of errors to the terminal for the calling thread (it keeps that switch per thread).
void quiet();
/// What HDF5 says about the last failed call of this thread, outermost function first; clears its error stack.
std::string take_error_stack();
/// Returns `result`, or throws LibraryError with the call's text and HDF5's words when it is negative.
std::int64_t check(std::int64_t result, const char* call, const char* file, int line);

/// CONVOY_HDF5(H5Dwrite(...)): the call's result, checked. For calls that the content of a file can make fail, see the
/// functions below, which throw DataError and name the file.
#define CONVOY_HDF5(call) (::convoy::hdf5::quiet(), ::convoy::hdf5::check((call), #call, __FILE__, __LINE__))

// --- files ---

/// A new file, replacing an old one of that name. Throws LibraryError.
File create_file(const std::filesystem::path& path);
/// Opens for reading, with file locking off. Throws DataError: missing, not HDF5, cut short or damaged.
File open_file(const std::filesystem::path& path);
/// Opens one of our own files to add to it. Throws LibraryError.
File open_to_change(const std::filesystem::path& path);
/// Flushes and closes; throws LibraryError when bytes did not reach the file or an object of it is still open.
void close(File& file);
/// "train-00000-of-00004.h5, /labels": for messages.
std::string where(hid_t object);

// --- types ---

/// The type as it stands in files (little-endian). Throws UsageError for bfloat16 and float16.
hid_t stored_type(DType dtype);
/// The same in this machine's memory.
hid_t native_type(DType dtype);
/// The element type of ours that holds a stored type without loss and without conversion but of byte order; false: none.
bool find_dtype(hid_t type, DType& dtype);

// --- groups and datasets ---

/// Whether a link of that path exists below `parent`; every component is looked at.
bool exists(hid_t parent, const std::string& path);
/// Names of a group's members, in byte order.
std::vector<std::string> members(hid_t group);
/// Throws DataError; also for a path that leads into another file.
Dataset open_dataset(hid_t parent, const std::string& path);
/// Extents and element type. Throws DataError: more axes than Shape::kMaxRank, an element type that is none of ours.
Shape shape_of(const Dataset& dataset);
DType dtype_of(const Dataset& dataset);

/// An empty dataset of contiguous layout whose space in the file is taken at once; creates groups on the way.
Dataset create_dataset(hid_t parent, const std::string& path, DType dtype, const Shape& shape);
/// Writes a whole dataset, contiguous, with the attribute `crc32c` over its little-endian bytes.
void write_dataset(hid_t parent, const std::string& path, const Tensor& tensor);
/// Reads a whole dataset. Verifies the attribute `crc32c`; throws DataError when the attribute is missing or differs.
Tensor read_dataset(hid_t parent, const std::string& path);

/// Rows [first, first + rows.shape()[0]) of the outermost axis.
void write_rows(const Dataset& dataset, std::int64_t first, const Tensor& rows);
/// `rows` gives the count and the element type in memory; HDF5 converts. Throws DataError.
void read_rows(const Dataset& dataset, std::int64_t first, Tensor& rows);

// --- attributes ---
// Reading throws DataError: missing, of another kind (text, integer, real), or of another rank.

bool has_attribute(hid_t object, const std::string& name);
std::vector<std::string> attribute_names(hid_t object);

/// Strings are stored with a fixed length, UTF-8, padded with zero bytes. Throws UsageError for a text with a zero byte.
void write_text(hid_t object, const std::string& name, std::string_view text);
void write_texts(hid_t object, const std::string& name, std::span<const std::string> texts);
/// Strings of variable length are read too.
std::string read_text(hid_t object, const std::string& name);
std::vector<std::string> read_texts(hid_t object, const std::string& name);

namespace detail {
/// `count` < 0: a scalar.
void write_numbers(hid_t object, const std::string& name, DType dtype, const void* values, std::int64_t count);
/// Number of elements; `scalar` demands exactly one.
std::int64_t count_numbers(hid_t object, const std::string& name, DType dtype, bool scalar);
void read_numbers(hid_t object, const std::string& name, DType dtype, void* values);
}  // namespace detail

/// T: std::int64_t, std::uint64_t, std::int32_t, std::uint32_t, float or double.
template <typename T>
void write_number(hid_t object, const std::string& name, T value) {
  detail::write_numbers(object, name, ::convoy::dtype_of<T>(), &value, -1);
}
template <typename T>
void write_numbers(hid_t object, const std::string& name, std::span<const T> values) {
  detail::write_numbers(object, name, ::convoy::dtype_of<T>(), values.data(),
                        static_cast<std::int64_t>(values.size()));
}
template <typename T>
T read_number(hid_t object, const std::string& name) {
  T value{};
  detail::count_numbers(object, name, ::convoy::dtype_of<T>(), true);
  detail::read_numbers(object, name, ::convoy::dtype_of<T>(), &value);
  return value;
}
template <typename T>
std::vector<T> read_numbers(hid_t object, const std::string& name) {
  std::vector<T> values(
      static_cast<std::size_t>(detail::count_numbers(object, name, ::convoy::dtype_of<T>(), false)));
  detail::read_numbers(object, name, ::convoy::dtype_of<T>(), values.data());
  return values;
}

}  // namespace convoy::hdf5
