#pragma once
// The few things that checkpoints need of HDF5 beyond io/hdf5.h: half floats, scalar texts, and the refusal of
// everything that is not plain bytes in this very file. Private to the checkpoint sources.
#include <string>
#include <string_view>

#include "core/tensor/tensor.h"
#include "io/hdf5.h"

namespace convoy::checkpoint_format {

/// The element type in the file, and equally in memory: IEEE 754 halves are HDF5 floats of 2 bytes, bfloat16, which
/// HDF5 does not know, is uint16 (the attribute dtype tells).
hdf5::Type tensor_file_type(DType dtype);

/// Creates a contiguous dataset of these bytes with its checksum, and returns that.
std::uint32_t write_tensor(hid_t parent, const std::string& name, const Tensor& tensor);
/// The same for a text, as one string of fixed length (at least 1: an empty text is one NUL).
void write_text_dataset(hid_t parent, const std::string& name, std::string_view text);
/// A group without time stamps, so that the same checkpoint gives the same bytes.
hdf5::Group create_group(hid_t parent, const std::string& name);

/// Throw DataError unless the object's bytes lie in this file as they are: contiguous, no filter, no external storage.
void check_dataset_is_plain(hid_t dataset);
void check_group_is_plain(hid_t group);

/// Element type and extents of a dataset that write_tensor wrote. Throw DataError for any other.
DType stored_dtype(hid_t dataset);
Shape stored_shape(hid_t dataset);

/// A text attribute of fixed length. Throws DataError.
std::string read_fixed_text(hid_t object, const std::string& name);

}  // namespace convoy::checkpoint_format
