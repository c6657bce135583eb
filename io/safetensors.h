#pragma once
// Files of the safetensors format (huggingface/safetensors, README.md, "Format"): tensors by name, as other programs read
// and write them.
//   8 bytes: length n of the header, little-endian, at most 100,000,000
//   n bytes: JSON, {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [BEGIN, END]}, ...}, padded with blanks; the
//       entry "__metadata__" holds texts by name
//   the elements, little-endian, row-major: BEGIN and END count from here, tensors lie end to end and fill the file
#include <filesystem>
#include <map>
#include <string>

#include "core/tensor/tensor.h"

namespace convoy {

struct Safetensors {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Throws DataError that names the file and the tensor for whatever the format does not allow (a name twice, elements that
/// overlap, leave a gap, or do not fill the file, ...), and for types and ranks that Tensor does not have. Takes no more
/// memory than the file's size and its header's times some.
Safetensors read_safetensors(const std::filesystem::path& file);

/// Appears whole or not at all. Throws UsageError for a name or text that is not UTF-8 and for the name "__metadata__".
void write_safetensors(const std::filesystem::path& file, const Safetensors& content);

}  // namespace convoy
