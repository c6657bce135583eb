#pragma once
// Mending checkpoints: `convoy checkpoint repair`.
//
// One flipped bit can be found and turned back. In a dataset, its CRC-32C tells which bit, and its word sums
// (io/word_sums.h) confirm it; in HDF5's own metadata, the block's checksum does. Several bits in several blocks are
// mended one by one. Nothing is kept that does not verify as a whole afterwards.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace convoy {

/// One bit turned back.
struct BitRepair {
  std::string where;         // "/parameters/conv1/filters", or "HDF5 object header at byte 4096"
  std::string index;         // "[2, 0, 13]": the element; empty for metadata
  int bit = 0;               // of the element, of the byte for metadata; 0: the least significant
  std::string before, after;  // the element's value
  std::uint64_t file_bit = 0;  // 8 * byte + bit in the file
};

struct FileRepair {
  enum class Outcome { good, repaired, damaged };
  std::filesystem::path file;
  Outcome outcome = Outcome::good;
  std::vector<BitRepair> repairs;     // none where it stays damaged
  std::vector<std::string> problems;  // what is still wrong: "/parameters/conv1/filters: ..."
  std::filesystem::path kept;         // where the damaged original lies now; empty: where it was
  std::int64_t step = -1;             // where the file is good or repaired
  std::optional<std::int64_t> best_step;

  bool usable() const { return outcome != Outcome::damaged; }
};

/// Verifies `file`; where it is damaged and can be repaired, replaces it by the repaired copy in one rename and keeps
/// the original as FILE.damaged. A file that cannot be repaired stays as it is. `dry_run`: nothing is written. Takes
/// memory of twice the file's size. Throws UsageError when there is no such file, SystemError when writing fails.
FileRepair repair_checkpoint(const std::filesystem::path& file, bool dry_run);

struct RunRepair {
  std::vector<FileRepair> files;        // newest first
  std::vector<std::string> leftovers;   // temporaries of writers that died, removed
  std::vector<std::string> links;       // "latest -> step-00000012.h5", "best removed": what was changed
  bool good() const;                    // every file is usable
};

/// The same for every checkpoint of a run folder, or of its checkpoints folder. What cannot be repaired is renamed to
/// *.damaged, leftovers of dead writers are removed, `latest` and `best` are made right. Throws UsageError for what is
/// no folder.
RunRepair repair_run(const std::filesystem::path& folder, bool dry_run);

/// The run folder that a checkpoint file, checkpoints folder or run folder belongs to: the one whose lock must be held
/// (io/run_lock.h). None: it lies in no run.
std::optional<std::filesystem::path> run_folder_around(const std::filesystem::path& path);

/// Text: a line for each file, with what was mended or is wrong below it. JSON: {file, outcome, repairs, problems, kept}.
std::string to_text(const FileRepair& repair);
std::string to_json(const FileRepair& repair);
std::string to_text(const RunRepair& repair);
std::string to_json(const RunRepair& repair);

}  // namespace convoy
