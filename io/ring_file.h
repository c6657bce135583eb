#pragma once
// The flight recorder's file: what the threads of this process do (core/trace), copied about fifty times a second to a
// file by a thread of its own. The bytes lie in the page cache, so they survive kill -9 of the process, and `convoy
// doctor` reads there what a dead, stopped or hanging rank was doing.
//
// Nothing about it can stop or end a run: the file is written by pwrite (a mapped file would kill the process on a full
// or lost file system), errors become one warning, and a file system that hangs holds up the copying thread alone.
//
// Format, version 1, little-endian. RUN/watch/rank-00003.ring:
//   0     magic "CVYRING1"
//   8     u32 version                      12   u32 CRC-32C of the header's 512 bytes with this field as 0
//   16    i32 rank     20  i32 size        24   i64 process id
//   32    i32 life     36  u32 finished: 1 when the process left in order
//   40    i64 when the file was begun, ns since 1970
//   48    i64 the last copy by CLOCK_MONOTONIC (ns), the clock of all records
//   56    i64 the same moment, ns since 1970: turns clocks of records into dates, and says when the process still lived
//   64    u32 which slot is valid, 0 or 1  68   u32 bytes of it    72  u32 CRC-32C of these bytes
//   80    host name, NUL-padded, 64 bytes; then zeros to 512
//   4096  slot 0, and kRingSlotBytes later slot 1: what trace::copy_block gives (trace.h names the fields)
// A copy goes to the slot that is not valid, and then the header is written in one piece within one page: a writer killed
// at any moment leaves the copy before. A reader refuses another magic or version, and checks both CRCs.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/trace/trace.h"

namespace convoy {

inline constexpr std::size_t kRingHeaderBytes = 512, kRingFirstSlot = 4096;
inline constexpr std::size_t kRingSlotBytes = (trace::kBlockBytes + 4095) / 4096 * 4096;
inline constexpr std::int64_t kRingIntervalNs = 20'000'000;  // between two copies

struct RingIdentity {
  int rank = 0, size = 1;
  std::int64_t pid = 0;
  std::string host;  // longer names than 63 bytes are cut
  int life = 1;      // io/run_lives.h
};

/// Mirrors this process's trace from construction to destruction. One object per process.
class RingFile {
 public:
  /// `folder`: RUN/watch; it is made if it is not there. Never throws for what the file system does.
  RingFile(const std::filesystem::path& folder, const RingIdentity& identity);
  /// Marks the file as finished and waits for that, a second at most.
  ~RingFile();
  RingFile(const RingFile&) = delete;
  RingFile& operator=(const RingFile&) = delete;

  /// The first thing that went wrong, as a sentence for the user; empty: nothing so far. Any thread.
  std::string warning() const;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the copying thread, which may outlive this object
};

/// A rank's file as it was left.
struct RingReading {
  RingIdentity identity;
  bool finished = false;
  std::int64_t began_ns = 0;         // since 1970
  std::int64_t last_copy_ns = 0;     // since 1970: the process lived then
  std::int64_t last_copy_clock = 0;  // the same moment by the records' clock
  trace::StepMark step;
  std::vector<trace::Lane> lanes;    // records of the future are left out

  /// The date of a record's clock, ns since 1970.
  std::int64_t date_of(std::int64_t clock) const { return last_copy_ns - (last_copy_clock - clock); }
};

/// "rank-00003.ring"
std::string ring_name(int rank);
/// The rank of such a name; none for any other name.
std::optional<int> rank_of_ring(const std::string& name);

/// Throws DataError naming the file and what is wrong with it. The file may be written at the same time.
RingReading read_ring(const std::filesystem::path& file);

/// All files of a folder in the order of their ranks; none where the folder is not there. What cannot be read becomes a
/// sentence in `problems`.
std::vector<RingReading> read_rings(const std::filesystem::path& folder, std::vector<std::string>& problems);

}  // namespace convoy
