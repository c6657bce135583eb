#pragma once
// An ensemble of trained models: ensemble.h5 in the run's folder names one checkpoint of each member (design: section 7).
//
// Format, version 1, in the HDF5 of checkpoints (io/checkpoint.h):
//   /members/<name>   a group for each member, "01", "02", ...: attributes file, step, digest, and the external link `checkpoint` to
//       "/" of that file. `file` is relative to the folder of ensemble.h5 and of the form members/<name>/checkpoints/step-*.h5.
//   attributes of /: format="convoy-ensemble", version, members (their number), content_crc32c: CRC-32C of the lines
//       "<name> <file> <step> <digest>\n", with tabs for blanks.
// So h5py opens f["members/01/checkpoint/parameters/..."]. convoy itself follows no link: it opens `file` and asks for step and
// digest. A reader refuses a higher version. What a crash leaves behind is the old file or the new one.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace convoy {

inline constexpr char kEnsembleFile[] = "ensemble.h5";

struct EnsembleMember {
  std::string name;             // "01"
  std::filesystem::path file;   // of the checkpoint: relative to the folder of ensemble.h5
  std::int64_t step = 0;
  std::string digest;           // digest_of
};

/// The folder of a member, members/<name>, below that of ensemble.h5.
std::filesystem::path member_folder(const std::filesystem::path& run_folder, const std::string& name);

/// Writes by rename. Throws Error naming the file; UsageError for a member whose file is not of the form above.
void write_ensemble(const std::filesystem::path& file, const std::vector<EnsembleMember>& members);

/// Reads and verifies ensemble.h5 itself, not the checkpoints. Throws DataError naming the file and what is wrong with it.
std::vector<EnsembleMember> read_ensemble(const std::filesystem::path& file);

/// The checkpoint of a member of the ensemble.h5 that is `file`, verified, its step and digest too. Throws DataError.
Checkpoint read_member(const std::filesystem::path& file, const EnsembleMember& member);

/// ensemble.h5 as the user names it: the file, or the run folder that holds it. Nothing: `path` is neither.
std::filesystem::path find_ensemble(const std::filesystem::path& path);

}  // namespace convoy
