#pragma once
// How fast a checkpoint reaches the disk, beside what the disk can do: the library part of `convoy bench checkpoint`.
#include <cstdint>
#include <filesystem>
#include <vector>

namespace convoy {

struct CheckpointBenchOptions {
  std::filesystem::path folder;           // must exist; files made here are removed again
  std::int64_t size_bytes = 100'000'000;  // of the tensors, about
  int tensors = 64;
  int repeats = 5;                        // rounds; each measures everything once, in turn, so that noise hits all alike
};

/// Bytes per second of each round. All count the bytes of the checkpoint file.
struct CheckpointBenchResult {
  std::int64_t file_bytes = 0;
  std::vector<double> save;       // write_checkpoint: checksums, HDF5, fsync of file and folder
  std::vector<double> raw_write;  // the same bytes with write(2) to a new file, fsync
  std::vector<double> load;       // read_checkpoint with all checksums; the file is in the page cache
  std::vector<double> raw_read;   // read(2) of the same file into one buffer
  std::vector<double> stall;      // CheckpointSaver::save: what a trainer waits for a save in the background
  std::vector<double> raw_copy;   // memcpy of the same tensors by one thread
  std::vector<double> background;  // the write that follows, while nothing else is done
};

/// Also checks that what it loads has the digest of what it saved: throws DataError otherwise. Throws UsageError for
/// impossible options, LibraryError when the disk is full.
CheckpointBenchResult bench_checkpoint(const CheckpointBenchOptions& options);

}  // namespace convoy
