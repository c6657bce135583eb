#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include <fmt/format.h>

#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "io/atomic_file.h"
#include "io/checkpoint.h"
#include "io/checkpoint_format.h"
#include "io/checkpoint_hdf5.h"
#include "io/hdf5.h"
#include "io/hdf5_descriptor.h"

namespace convoy {
namespace {

using namespace checkpoint_format;

/// Creates the group of `path` ("optimizer/momentum/conv1") and those above it that are not there yet.
void make_groups(hid_t file, const std::string& path, std::set<std::string>& made) {
  for (std::size_t end = path.find('/');; end = path.find('/', end + 1)) {
    const std::string group = path.substr(0, end);
    if (made.insert(group).second) create_group(file, group);
    if (end == path.npos) return;
  }
}

TensorChecksums write_tensors(hid_t file, const Checkpoint& checkpoint) {
  TensorChecksums checksums;
  std::set<std::string> made;
  for (const TensorGroup& group : kGroups) {
    make_groups(file, group.name, made);
    for (const auto& [name, tensor] : checkpoint.*group.tensors) {
      const std::string path = std::string(group.name) + "/" + name;
      make_groups(file, path.substr(0, path.rfind('/')), made);
      checksums[path] = write_tensor(file, path, tensor);
    }
  }
  return checksums;
}

void write_lists(hid_t file, const Checkpoint& checkpoint) {
  Tensor ledgers(Shape{static_cast<std::int64_t>(checkpoint.ledgers.size()), 4}, DType::u64);
  auto* row = ledgers.values<std::uint64_t>().data();
  for (const EpochLedger& ledger : checkpoint.ledgers) {
    *row++ = static_cast<std::uint64_t>(ledger.epoch);
    *row++ = ledger.count;
    *row++ = ledger.sum;
    *row++ = ledger.exclusive_or;
  }
  write_tensor(file, "ledgers", ledgers);
  Tensor skipped(Shape{static_cast<std::int64_t>(checkpoint.skipped_steps.size())}, DType::i64);
  std::copy(checkpoint.skipped_steps.begin(), checkpoint.skipped_steps.end(), skipped.values<std::int64_t>().begin());
  write_tensor(file, "skipped_steps", skipped);
  write_text_dataset(file, "run_record", to_json(checkpoint.run_record));
  if (!checkpoint.mode.empty()) write_text_dataset(file, "mode", to_json(checkpoint.mode));
  write_text_dataset(file, "config", checkpoint.config);
  write_text_dataset(file, "metrics", checkpoint.metrics);
}

void write_attributes(hid_t file, const Checkpoint& checkpoint) {
  hdf5::write_text(file, "format", kFormat);
  hdf5::write_number(file, "version", kVersion);
  hdf5::write_number(file, "step", checkpoint.step);
  hdf5::write_number(file, "updates", checkpoint.updates);
  hdf5::write_number(file, "loss_scale", checkpoint.loss_scale);
  hdf5::write_number(file, "loss_scale_counter", checkpoint.loss_scale_counter);
  if (checkpoint.best) {
    hdf5::write_number(file, "best_metric", checkpoint.best->first);
    hdf5::write_number(file, "best_step", checkpoint.best->second);
  }
  hdf5::write_text(file, "graph_hash", checkpoint.graph_hash);
  hdf5::write_number(file, "world_size", checkpoint.world_size);
  hdf5::write_number(file, "epoch", checkpoint.epoch);
}

void write_contents(hid_t file, const Checkpoint& checkpoint) {
  write_attributes(file, checkpoint);
  const TensorChecksums checksums = write_tensors(file, checkpoint);
  write_lists(file, checkpoint);
  hdf5::write_number(file, kContentChecksum, content_checksum(checkpoint, checksums));
}

}  // namespace

std::int64_t write_checkpoint(const std::filesystem::path& file, const Checkpoint& checkpoint) {
  check_storable(checkpoint);
  const trace::Doing writing(trace::Activity::checkpoint, "writing " + file.filename().string());
  TemporaryFile temporary(file);
  hdf5::DescriptorFile out(temporary.descriptor(), temporary.path());
  try {
    write_contents(out.get(), checkpoint);
    out.close();
  } catch (const LibraryError& error) {
    if (out.error() == 0) throw LibraryError(fmt::format("cannot write {}: {}", file.string(), error.what()));
  }
  if (out.error() != 0) throw_system_error("write", file, out.error());
  struct stat status{};  // by descriptor: the folder may be gone, and that is commit's to say
  if (fstat(temporary.descriptor(), &status) != 0) throw_system_error("write", file, errno);
  const trace::Doing syncing(trace::Activity::checkpoint, "syncing " + file.filename().string(), status.st_size);
  temporary.commit();
  return status.st_size;
}

}  // namespace convoy
