#include "io/bench_checkpoint.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>

#include <fmt/format.h>

#include "core/random/philox.h"
#include "core/tensor/error.h"
#include "io/atomic_file.h"
#include "io/checkpoint.h"
#include "io/checkpoint_saver.h"
#include "io/checkpoint_snapshot.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

/// Removes its file at the end.
class ScratchFile {
 public:
  ScratchFile(const fs::path& folder, std::string_view name)
      : path_(folder / fmt::format("bench-{}-{}-{}", host_name(), static_cast<long>(getpid()), name)) {}
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  ~ScratchFile() { unlink(path_.c_str()); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

Checkpoint random_checkpoint(const CheckpointBenchOptions& options) {
  Checkpoint checkpoint;
  const std::int64_t floats = std::max<std::int64_t>(1, options.size_bytes / 4 / options.tensors);
  for (int t = 0; t < options.tensors; ++t) {
    Tensor tensor(Shape{floats}, DType::f32);
    const RandomKey key = RandomKey(0, "bench").child(static_cast<std::uint64_t>(t));
    auto values = tensor.values<float>();
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = key.uniform(i);
    checkpoint.parameters.emplace(fmt::format("layer{:04}/filters", t), std::move(tensor));
  }
  return checkpoint;
}

double bytes_per_second(std::int64_t bytes, const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return static_cast<double>(bytes) / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::vector<std::byte> read_raw(const fs::path& file, std::size_t size_bytes) {
  std::vector<std::byte> bytes(size_bytes);
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) throw_system_error("open", file, errno);
  for (std::size_t done = 0; done < size_bytes;) {
    const ssize_t got = read(descriptor, bytes.data() + done, size_bytes - done);
    if (got <= 0) {
      const int error = got < 0 ? errno : EIO;
      close(descriptor);
      throw_system_error("read", file, error);
    }
    done += static_cast<std::size_t>(got);
  }
  close(descriptor);
  return bytes;
}

/// A checkpoints folder that goes with its files.
class ScratchFolder {
 public:
  explicit ScratchFolder(const fs::path& folder)
      : path_(folder / fmt::format("bench-{}-{}-folder", host_name(), static_cast<long>(getpid()))) {}
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void copy_plainly(const Checkpoint& from, Checkpoint& to) {
  auto copy = to.parameters.begin();
  for (const auto& [name, tensor] : from.parameters)
    std::memcpy((copy++)->second.bytes(), tensor.bytes(), tensor.size_bytes());
}

/// Saves in the background, in turn with plain copies of the same tensors.
void bench_background(const CheckpointBenchOptions& options, Checkpoint& checkpoint, CheckpointBenchResult& result) {
  const ScratchFolder folder(options.folder);
  CheckpointSaver saver(CheckpointFolder(folder.path()), 1);
  saver.reserve(checkpoint);
  Checkpoint copy;
  copy_into(checkpoint, copy);
  for (int round = 0; round < options.repeats; ++round) {
    result.raw_copy.push_back(bytes_per_second(result.file_bytes, [&] { copy_plainly(checkpoint, copy); }));
    checkpoint.step = round + 1;
    saver.save(checkpoint, false);
    saver.wait();
    const SaveReport report = saver.take_reports().at(0);
    if (!report.good()) throw LibraryError(report.error);
    result.stall.push_back(static_cast<double>(result.file_bytes) / report.stall_seconds());
    result.background.push_back(static_cast<double>(result.file_bytes) / report.write_seconds);
  }
}

}  // namespace

CheckpointBenchResult bench_checkpoint(const CheckpointBenchOptions& options) {
  if (options.size_bytes < 1 || options.tensors < 1 || options.repeats < 1)
    throw UsageError("bench checkpoint: bytes, tensors and repeats must be at least 1");
  Checkpoint checkpoint = random_checkpoint(options);
  const std::string digest = digest_of(checkpoint);
  const ScratchFile saved(options.folder, "saved.h5"), raw(options.folder, "raw");
  CheckpointBenchResult result;
  result.file_bytes = write_checkpoint(saved.path(), checkpoint);  // warms up, and gives the bytes for the raw write
  const std::vector<std::byte> bytes = read_raw(saved.path(), static_cast<std::size_t>(result.file_bytes));
  for (int round = 0; round < options.repeats; ++round) {
    result.save.push_back(bytes_per_second(result.file_bytes, [&] { write_checkpoint(saved.path(), checkpoint); }));
    result.raw_write.push_back(bytes_per_second(result.file_bytes, [&] {
      TemporaryFile file(raw.path());
      file.write(bytes.data(), bytes.size());
      file.commit();
    }));
    Checkpoint loaded;
    result.load.push_back(bytes_per_second(result.file_bytes, [&] { loaded = read_checkpoint(saved.path()); }));
    result.raw_read.push_back(bytes_per_second(result.file_bytes, [&] { read_raw(saved.path(), bytes.size()); }));
    if (digest_of(loaded) != digest)
      throw DataError(fmt::format("{}: what was loaded is not what was saved", saved.path().string()));
  }
  bench_background(options, checkpoint, result);
  return result;
}

}  // namespace convoy
