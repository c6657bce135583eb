#include "io/checkpoint_repair.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include <fmt/format.h>

#include "core/tensor/error.h"
#include "io/atomic_file.h"
#include "io/checkpoint_scan.h"
#include "io/crc32c.h"
#include "io/files.h"
#include "io/flipped_bit.h"
#include "io/hdf5_metadata_repair.h"
#include "io/tensor_elements.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using checkpoint_format::DamagedBytes;
using checkpoint_format::Scan;
using checkpoint_format::scan_checkpoint;
using checkpoint_format::ScanItem;

/// Without word sums, damage of any other kind looks like one flipped bit in 1 of 2^31 / bits cases: here 1 of 1,024.
constexpr std::uint64_t kTrustedBytes = std::uint64_t{256} << 10;
constexpr int kMostRounds = 16;

/// A file's content in memory that HDF5 can open.
class MemoryFile {
 public:
  explicit MemoryFile(const fs::path& original) {
    const FileDescriptor source = open_for_reading(original);
    struct stat status{};
    if (fstat(source.get(), &status) != 0) throw_system_error("look at", original, errno);
    size_ = static_cast<std::size_t>(status.st_size);
    descriptor_ = FileDescriptor(memfd_create("checkpoint", MFD_CLOEXEC));
    if (!descriptor_.valid() || ftruncate(descriptor_.get(), status.st_size) != 0)
      throw_system_error("take memory for", original, errno);
    if (size_ == 0) return;
    void* mapped = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_.get(), 0);
    if (mapped == MAP_FAILED) throw_system_error("take memory for", original, errno);
    data_ = static_cast<std::byte*>(mapped);
    std::string why;
    if (read_exactly(source.get(), data_, size_, 0, why)) return;
    munmap(data_, size_);
    throw DataError(fmt::format("{}: {}", original.string(), why));
  }
  ~MemoryFile() {
    if (data_ != nullptr) munmap(data_, size_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::span<std::byte> bytes() const { return {data_, size_}; }
  Scan scan(const fs::path& name) const { return scan_checkpoint(descriptor_.get(), name); }
  void flip(std::uint64_t bit) const { data_[bit / 8] ^= std::byte{1} << bit % 8; }

 private:
  FileDescriptor descriptor_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Whether the dataset's bytes are now the ones that were saved.
bool confirmed(std::span<const std::byte> bytes, const DamagedBytes& damage) {
  if (crc32c(bytes.data(), bytes.size()) != damage.expected) return false;
  if (damage.sums) return word_sums(bytes.data(), bytes.size()) == *damage.sums;
  return bytes.size() <= kTrustedBytes;
}

/// Turns back the one bit that is wrong in a dataset, if it is one.
std::optional<BitRepair> repair_dataset(const ScanItem& item, const MemoryFile& copy) {
  const DamagedBytes& damage = *item.damage;
  const std::span<std::byte> bytes = copy.bytes().subspan(damage.offset, damage.size_bytes);
  const std::size_t element_bytes = size_of(damage.dtype);
  for (const std::uint64_t bit : flipped_bits(damage.expected, damage.found, damage.size_bytes)) {
    const std::uint64_t element = bit / 8 / element_bytes;
    const std::byte* value = bytes.data() + element * element_bytes;
    BitRepair repair{.where = item.name,
                     .index = index_text(static_cast<std::int64_t>(element), damage.shape),
                     .bit = static_cast<int>(bit - 8 * element * element_bytes),
                     .before = element_text(value, damage.dtype),
                     .after = {},
                     .file_bit = 8 * damage.offset + bit};
    copy.flip(repair.file_bit);
    repair.after = element_text(value, damage.dtype);
    if (confirmed(bytes, damage)) return repair;
    copy.flip(repair.file_bit);
  }
  return {};
}

std::vector<BitRepair> repair_datasets(const Scan& scan, const MemoryFile& copy) {
  std::vector<BitRepair> repairs;
  for (const ScanItem& item : scan.items) {
    if (!item.damage) continue;
    if (auto repair = repair_dataset(item, copy)) repairs.push_back(std::move(*repair));
  }
  return repairs;
}

std::vector<BitRepair> repair_metadata(const MemoryFile& copy) {
  std::vector<BitRepair> repairs;
  for (const hdf5::MetadataRepair& found : hdf5::find_metadata_repairs(copy.bytes())) {
    copy.flip(found.bit);
    repairs.push_back({.where = fmt::format("HDF5 {} at byte {}", found.block, found.begin),
                       .index = {},
                       .bit = static_cast<int>(found.bit % 8),
                       .before = {},
                       .after = {},
                       .file_bit = found.bit});
  }
  return repairs;
}

/// Whether more is wrong than bytes of datasets whose description is right.
bool metadata_is_suspect(const Scan& scan) {
  return std::any_of(scan.items.begin(), scan.items.end(),
                     [](const ScanItem& item) { return !item.problem.empty() && !item.damage; });
}

/// Mends the copy as far as that goes; `scan` is then that of the copy.
std::vector<BitRepair> mend(const MemoryFile& copy, const fs::path& name, Scan& scan) {
  std::vector<BitRepair> all;
  for (int round = 0; round < kMostRounds && scan.first_problem(); ++round) {
    std::vector<BitRepair> repairs = repair_datasets(scan, copy);
    if (repairs.empty() && metadata_is_suspect(scan)) repairs = repair_metadata(copy);
    if (repairs.empty()) break;
    all.insert(all.end(), repairs.begin(), repairs.end());
    scan = copy.scan(name);
  }
  return all;
}

/// "FILE.damaged", or "FILE.damaged-2", ... where that is taken.
fs::path free_name(const fs::path& file) {
  fs::path name = file;
  name += ".damaged";
  std::error_code error;
  for (int number = 2; fs::exists(fs::symlink_status(name, error)); ++number) {
    name = file;
    name += fmt::format(".damaged-{}", number);
  }
  return name;
}

/// Puts the copy in the file's place. There is a file of that name at every moment, where the file system has hard links.
fs::path install(const fs::path& file, const MemoryFile& copy) {
  TemporaryFile repaired(file);
  repaired.write(copy.bytes().data(), copy.bytes().size());
  const Scan written = scan_checkpoint(repaired.path());
  if (const ScanItem* bad = written.first_problem())
    throw DataError(fmt::format("{}: the repaired copy came back from the disk damaged: {}: {}. The disk or the memory "
                                "of this machine is bad; repair on another one",
                                file.string(), bad->name, bad->problem));
  const fs::path kept = free_name(file);
  if (link(file.c_str(), kept.c_str()) != 0 && rename(file.c_str(), kept.c_str()) != 0)
    throw_system_error("keep the damaged original of", file, errno);
  repaired.commit();
  return kept;
}

void note_state(const Scan& scan, FileRepair& result) {
  result.step = scan.checkpoint.step;
  if (scan.checkpoint.best) result.best_step = scan.checkpoint.best->second;
}

std::string problem_text(const ScanItem& item) {
  std::string text = item.name + ": " + item.problem;
  if (!item.damage) return text;
  if (!item.damage->sums && item.damage->size_bytes > kTrustedBytes &&
      !flipped_bits(item.damage->expected, item.damage->found, item.damage->size_bytes).empty())
    return text + "; one flipped bit would explain it, but so would worse damage: this file is of an older version, "
                  "without the second checksum that could tell";
  return text + "; more than one bit is wrong";
}

}  // namespace

FileRepair repair_checkpoint(const fs::path& path, bool dry_run) {
  std::error_code error;
  if (!fs::is_regular_file(path, error))
    throw UsageError(fmt::format("{}: expected a checkpoint file, found {}", path.string(),
                                 fs::exists(path, error) ? "something else" : "nothing of that name"));
  FileRepair result{.file = fs::canonical(path)};  // of a link: the file, not the link, is replaced
  Scan scan = scan_checkpoint(result.file);
  if (!scan.first_problem()) {
    note_state(scan, result);
    return result;
  }
  const MemoryFile copy(result.file);
  std::vector<BitRepair> repairs = mend(copy, result.file, scan);
  if (scan.first_problem()) {
    result.outcome = FileRepair::Outcome::damaged;
    for (const ScanItem& item : scan.items)
      if (!item.problem.empty()) result.problems.push_back(problem_text(item));
    return result;
  }
  result.outcome = FileRepair::Outcome::repaired;
  result.repairs = std::move(repairs);
  note_state(scan, result);
  if (!dry_run) result.kept = install(result.file, copy);
  return result;
}

}  // namespace convoy
