#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/tensor/error.h"
#include "io/hdf5.h"

namespace convoy::hdf5 {
namespace {

[[noreturn]] void fail(hid_t object, const std::string& name, const std::string& what) {
  const std::string words = take_error_stack();
  throw DataError(
      fmt::format("{}: attribute \"{}\": {}{}{}", where(object), name, what, words.empty() ? "" : ". HDF5: ", words));
}

Space space_for(std::int64_t count) {
  if (count < 0) return Space(CONVOY_HDF5(H5Screate(H5S_SCALAR)));
  const auto extent = static_cast<hsize_t>(count);
  return Space(CONVOY_HDF5(H5Screate_simple(1, &extent, nullptr)));
}

Attribute open(hid_t object, const std::string& name) {
  if (!has_attribute(object, name)) fail(object, name, "missing");
  Attribute attribute(H5Aopen(object, name.c_str(), H5P_DEFAULT));
  if (!attribute.valid()) fail(object, name, "cannot be opened");
  return attribute;
}

/// Number of elements; checks that it is a scalar, or a list of one axis.
std::int64_t count_of(hid_t object, const std::string& name, const Attribute& attribute, bool scalar) {
  const Space space(CONVOY_HDF5(H5Aget_space(attribute.get())));
  const int rank = H5Sget_simple_extent_ndims(space.get());
  const hssize_t count = H5Sget_simple_extent_npoints(space.get());
  if (rank < 0 || count < 0) fail(object, name, "its extent cannot be read");
  if (rank > 1) fail(object, name, fmt::format("expected a scalar or a list, found {} axes", rank));
  constexpr hssize_t kMost = hssize_t{1} << 24;
  if (count > kMost) fail(object, name, fmt::format("{} values; at most {} are read", count, kMost));
  if (scalar && count != 1) fail(object, name, fmt::format("expected one value, found {}", count));
  return count;
}

Type text_type(std::size_t size_bytes) {
  Type type(CONVOY_HDF5(H5Tcopy(H5T_C_S1)));
  CONVOY_HDF5(H5Tset_size(type.get(), std::max<std::size_t>(size_bytes, 1)));
  CONVOY_HDF5(H5Tset_strpad(type.get(), H5T_STR_NULLPAD));
  CONVOY_HDF5(H5Tset_cset(type.get(), H5T_CSET_UTF8));
  return type;
}

void write_texts_as(hid_t object, const std::string& name, std::span<const std::string> texts, bool scalar) {
  std::size_t longest = 1;
  for (const std::string& text : texts) {
    if (text.find('\0') != std::string::npos)
      throw UsageError(fmt::format("attribute \"{}\": a text with a zero byte cannot be stored", name));
    longest = std::max(longest, text.size());
  }
  std::vector<char> flat(longest * texts.size() + 1, '\0');
  for (std::size_t i = 0; i < texts.size(); ++i)
    std::memcpy(flat.data() + i * longest, texts[i].data(), texts[i].size());
  const Type type = text_type(longest);
  const Space space = space_for(scalar ? -1 : static_cast<std::int64_t>(texts.size()));
  const Attribute attribute(
      CONVOY_HDF5(H5Acreate2(object, name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT)));
  if (!texts.empty()) CONVOY_HDF5(H5Awrite(attribute.get(), type.get(), flat.data()));
}

std::vector<std::string> read_variable(const Attribute& attribute, hid_t type, std::size_t count) {
  std::vector<char*> raw(count, nullptr);
  const Space space(CONVOY_HDF5(H5Aget_space(attribute.get())));
  CONVOY_HDF5(H5Aread(attribute.get(), type, raw.data()));
  std::vector<std::string> texts;
  for (const char* text : raw) texts.emplace_back(text ? text : "");
  CONVOY_HDF5(H5Dvlen_reclaim(type, space.get(), H5P_DEFAULT, raw.data()));
  return texts;
}

std::vector<std::string> read_fixed(const Attribute& attribute, hid_t type, std::size_t count) {
  constexpr std::size_t kMost = std::size_t{1} << 28;
  const std::size_t size = H5Tget_size(type);
  if (size == 0 || count > kMost / size)
    throw LibraryError(fmt::format("{} texts of {} bytes; at most {} bytes are read", count, size, kMost));
  std::vector<char> flat(size * count);
  CONVOY_HDF5(H5Aread(attribute.get(), type, flat.data()));
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i) {
    const char* text = flat.data() + i * size;
    texts.emplace_back(text, strnlen(text, size));
  }
  return texts;
}

std::vector<std::string> read_texts_as(hid_t object, const std::string& name, bool scalar) {
  const Attribute attribute = open(object, name);
  const Type type(CONVOY_HDF5(H5Aget_type(attribute.get())));
  if (H5Tget_class(type.get()) != H5T_STRING) fail(object, name, "expected text, found another type");
  const auto count = static_cast<std::size_t>(count_of(object, name, attribute, scalar));
  if (count == 0) return {};
  try {
    return H5Tis_variable_str(type.get()) > 0 ? read_variable(attribute, type.get(), count)
                                              : read_fixed(attribute, type.get(), count);
  } catch (const LibraryError& error) {
    fail(object, name, error.what());
  }
}

}  // namespace

bool has_attribute(hid_t object, const std::string& name) {
  quiet();
  const htri_t found = H5Aexists(object, name.c_str());
  if (found < 0) fail(object, name, "cannot be looked for");
  return found > 0;
}

std::vector<std::string> attribute_names(hid_t object) {
  std::vector<std::string> names;
  const auto append = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  quiet();
  if (H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, append, &names) < 0)
    fail(object, "*", "the attributes cannot be listed");
  std::sort(names.begin(), names.end());
  return names;
}

void write_text(hid_t object, const std::string& name, std::string_view text) {
  const std::string copy(text);
  write_texts_as(object, name, {&copy, 1}, true);
}

void write_texts(hid_t object, const std::string& name, std::span<const std::string> texts) {
  write_texts_as(object, name, texts, false);
}

std::string read_text(hid_t object, const std::string& name) { return read_texts_as(object, name, true).front(); }

std::vector<std::string> read_texts(hid_t object, const std::string& name) {
  return read_texts_as(object, name, false);
}

namespace detail {

void write_numbers(hid_t object, const std::string& name, DType dtype, const void* values, std::int64_t count) {
  const Space space = space_for(count);
  const Attribute attribute(
      CONVOY_HDF5(H5Acreate2(object, name.c_str(), stored_type(dtype), space.get(), H5P_DEFAULT, H5P_DEFAULT)));
  if (count != 0) CONVOY_HDF5(H5Awrite(attribute.get(), native_type(dtype), values));
}

std::int64_t count_numbers(hid_t object, const std::string& name, DType dtype, bool scalar) {
  const Attribute attribute = open(object, name);
  const Type type(CONVOY_HDF5(H5Aget_type(attribute.get())));
  const H5T_class_t found = H5Tget_class(type.get());
  const bool fits = is_floating(dtype) ? found == H5T_FLOAT || found == H5T_INTEGER : found == H5T_INTEGER;
  if (!fits) fail(object, name, fmt::format("expected {}, found another type", name_of(dtype)));
  return count_of(object, name, attribute, scalar);
}

void read_numbers(hid_t object, const std::string& name, DType dtype, void* values) {
  const Attribute attribute = open(object, name);
  if (H5Aread(attribute.get(), native_type(dtype), values) < 0) fail(object, name, "cannot be read");
}

}  // namespace detail
}  // namespace convoy::hdf5
