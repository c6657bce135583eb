#include "io/checkpoint_hdf5.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/tensor/error.h"
#include "io/checkpoint_format.h"
#include "io/crc32c.h"
#include "io/word_sums.h"

namespace convoy::checkpoint_format {
namespace {

constexpr char kDTypeAttribute[] = "dtype";
constexpr std::array<DType, 10> kTypes{DType::u8,  DType::u16, DType::i32, DType::u32,  DType::i64,
                                       DType::u64, DType::f32, DType::f64, DType::bf16, DType::f16};

/// IEEE 754 binary16: sign at bit 15, 5 bits of exponent from bit 10 with bias 15, 10 bits of fraction.
hdf5::Type half_type() {
  hdf5::Type type(CONVOY_HDF5(H5Tcopy(H5T_IEEE_F32LE)));
  CONVOY_HDF5(H5Tset_fields(type.get(), 15, 10, 5, 0, 10));
  CONVOY_HDF5(H5Tset_size(type.get(), 2));
  CONVOY_HDF5(H5Tset_ebias(type.get(), 15));
  return type;
}

hdf5::Type text_type(std::size_t size_bytes) {
  hdf5::Type type(CONVOY_HDF5(H5Tcopy(H5T_C_S1)));
  CONVOY_HDF5(H5Tset_size(type.get(), size_bytes));
  CONVOY_HDF5(H5Tset_strpad(type.get(), H5T_STR_NULLPAD));
  CONVOY_HDF5(H5Tset_cset(type.get(), H5T_CSET_UTF8));
  return type;
}

hdf5::Space space_for(const Shape& shape) {
  std::array<hsize_t, Shape::kMaxRank> extents{};
  std::copy(shape.extents().begin(), shape.extents().end(), extents.begin());
  return hdf5::Space(shape.rank() == 0 ? CONVOY_HDF5(H5Screate(H5S_SCALAR))
                                       : CONVOY_HDF5(H5Screate_simple(shape.rank(), extents.data(), nullptr)));
}

/// A dataset with its bytes and its checksum.
hdf5::Dataset write_dataset(hid_t parent, const std::string& name, const hdf5::Type& type, const Shape& shape,
                            const void* bytes, std::size_t size_bytes, std::uint32_t checksum) {
  const hdf5::Space space = space_for(shape);
  const hdf5::Properties creation(CONVOY_HDF5(H5Pcreate(H5P_DATASET_CREATE)));
  CONVOY_HDF5(H5Pset_layout(creation.get(), H5D_CONTIGUOUS));
  CONVOY_HDF5(H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER));
  CONVOY_HDF5(H5Pset_obj_track_times(creation.get(), false));
  hdf5::Dataset dataset(CONVOY_HDF5(
      H5Dcreate2(parent, name.c_str(), type.get(), space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT)));
  if (size_bytes > 0) CONVOY_HDF5(H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes));
  hdf5::write_number(dataset.get(), kChecksum, checksum);
  const WordSums sums = word_sums(bytes, size_bytes);
  const std::array<std::uint64_t, 2> pair{sums.plain, sums.weighted};
  hdf5::write_numbers(dataset.get(), kWordSums, std::span<const std::uint64_t>(pair));
  return dataset;
}

}  // namespace

hdf5::Type tensor_file_type(DType dtype) {
  if (dtype == DType::f16) return half_type();
  return hdf5::Type(CONVOY_HDF5(H5Tcopy(hdf5::stored_type(dtype == DType::bf16 ? DType::u16 : dtype))));
}

std::uint32_t write_tensor(hid_t parent, const std::string& name, const Tensor& tensor) {
  const std::uint32_t checksum = crc32c(tensor.bytes(), tensor.size_bytes());
  const hdf5::Dataset dataset = write_dataset(parent, name, tensor_file_type(tensor.dtype()), tensor.shape(),
                                              tensor.bytes(), tensor.size_bytes(), checksum);
  if (tensor.dtype() == DType::bf16) hdf5::write_text(dataset.get(), kDTypeAttribute, name_of(DType::bf16));
  return checksum;
}

void write_text_dataset(hid_t parent, const std::string& name, std::string_view text) {
  const std::string stored(text.empty() ? std::string_view("\0", 1) : text);
  write_dataset(parent, name, text_type(stored.size()), Shape{}, stored.data(), stored.size(),
                crc32c(stored.data(), stored.size()));
}

hdf5::Group create_group(hid_t parent, const std::string& name) {
  const hdf5::Properties creation(CONVOY_HDF5(H5Pcreate(H5P_GROUP_CREATE)));
  CONVOY_HDF5(H5Pset_obj_track_times(creation.get(), false));
  return hdf5::Group(CONVOY_HDF5(H5Gcreate2(parent, name.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT)));
}

void check_dataset_is_plain(hid_t dataset) {
  const hdf5::Properties creation(CONVOY_HDF5(H5Dget_create_plist(dataset)));
  if (H5Pget_layout(creation.get()) != H5D_CONTIGUOUS || CONVOY_HDF5(H5Pget_nfilters(creation.get())) != 0 ||
      CONVOY_HDF5(H5Pget_external_count(creation.get())) != 0)
    throw DataError("chunked, filtered, virtual or external storage; a checkpoint's datasets are contiguous");
}

void check_group_is_plain(hid_t group) {
  const hdf5::Object root(CONVOY_HDF5(H5Oopen(group, ".", H5P_DEFAULT)));  // of a file id: its root group
  const hdf5::Properties creation(CONVOY_HDF5(H5Gget_create_plist(root.get())));
  if (CONVOY_HDF5(H5Pget_nfilters(creation.get())) != 0) throw DataError("a group whose names are stored with a filter");
}

DType stored_dtype(hid_t dataset) {
  const hdf5::Type type(CONVOY_HDF5(H5Dget_type(dataset)));
  const bool named = hdf5::has_attribute(dataset, kDTypeAttribute);
  if (named && read_fixed_text(dataset, kDTypeAttribute) != name_of(DType::bf16))
    throw DataError("its attribute dtype is none that this format knows");
  for (DType candidate : kTypes)
    if (named == (candidate == DType::bf16) && CONVOY_HDF5(H5Tequal(type.get(), tensor_file_type(candidate).get())) > 0)
      return candidate;
  throw DataError("elements of a type that no checkpoint has");
}

Shape stored_shape(hid_t dataset) {
  const hdf5::Space space(CONVOY_HDF5(H5Dget_space(dataset)));
  const int rank = static_cast<int>(CONVOY_HDF5(H5Sget_simple_extent_ndims(space.get())));
  if (CONVOY_HDF5(H5Sget_simple_extent_type(space.get())) == H5S_NULL || rank > Shape::kMaxRank)
    throw DataError(fmt::format("{} axes, or no extents at all; at most {} are possible", rank, Shape::kMaxRank));
  std::array<hsize_t, Shape::kMaxRank> stored{};
  std::array<std::int64_t, Shape::kMaxRank> extents{};
  if (rank > 0) CONVOY_HDF5(H5Sget_simple_extent_dims(space.get(), stored.data(), nullptr));
  std::transform(stored.begin(), stored.end(), extents.begin(), [](hsize_t e) { return static_cast<std::int64_t>(e); });
  return Shape(std::span<const std::int64_t>(extents.data(), static_cast<std::size_t>(rank)));  // refuses overflow
}

std::string read_fixed_text(hid_t object, const std::string& name) {
  if (!hdf5::has_attribute(object, name)) throw DataError("missing");
  {
    const hdf5::Attribute attribute(CONVOY_HDF5(H5Aopen(object, name.c_str(), H5P_DEFAULT)));
    const hdf5::Type type(CONVOY_HDF5(H5Aget_type(attribute.get())));
    if (H5Tget_class(type.get()) != H5T_STRING || H5Tis_variable_str(type.get()) != 0)
      throw DataError("expected text of fixed length, found another type");
  }
  return hdf5::read_text(object, name);
}

}  // namespace convoy::checkpoint_format
