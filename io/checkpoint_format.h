#pragma once
// What writer, reader and digest of checkpoints share; the format itself is described in io/checkpoint.h.
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/checkpoint.h"

namespace convoy::checkpoint_format {

inline constexpr std::string_view kFormat = "convoy-checkpoint";
inline constexpr std::int64_t kVersion = 1;
inline constexpr char kChecksum[] = "crc32c";                // attribute of every dataset
inline constexpr char kWordSums[] = "word_sums";             // attribute of every dataset
inline constexpr char kContentChecksum[] = "content_crc32c";  // attribute of "/"
inline constexpr std::size_t kMaxDepth = 16;                 // parts of a tensor's name, its group included
inline constexpr std::size_t kMaxName = 1024;                // bytes of a tensor's name

/// A group of tensors in the file and where it lives in memory.
struct TensorGroup {
  const char* name;
  std::map<std::string, Tensor> Checkpoint::*tensors;
};
inline constexpr std::array<TensorGroup, 4> kGroups{{{"parameters", &Checkpoint::parameters},
                                                     {"optimizer", &Checkpoint::optimizer},
                                                     {"state", &Checkpoint::state},
                                                     {"averages", &Checkpoint::averages}}};

/// Path in the file ("parameters/conv1/filters") -> CRC-32C of the tensor's bytes.
using TensorChecksums = std::map<std::string, std::uint32_t>;

/// Throws UsageError for what the format cannot hold.
void check_storable(const Checkpoint& checkpoint);

/// The lines of the state attributes, as documented at digest_of.
std::vector<std::string> state_lines(const Checkpoint& checkpoint);

/// content_crc32c of a checkpoint whose tensors have these checksums. `tensors` gives dtypes and shapes.
std::uint32_t content_checksum(const Checkpoint& checkpoint, const TensorChecksums& checksums);

/// The run record as the JSON text of /run_record, and back (throws DataError).
std::string to_json(const RunRecord& record);
RunRecord run_record_from_json(std::string_view text);

}  // namespace convoy::checkpoint_format
