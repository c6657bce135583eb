#include <algorithm>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "core/tensor/error.h"
#include "io/files.h"
#include "io/ring_format.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using ring_format::Header;

constexpr std::string_view kPrefix = "rank-", kSuffix = ".ring";
constexpr int kLooks = 5;                         // at a file that is being written
constexpr std::int64_t kFuture = 1'000'000'000;   // ns by which a record may be younger than the copy it lies in
constexpr int kMostRanks = 1 << 24;

[[noreturn]] void fail(const fs::path& file, const std::string& what) {
  throw DataError(fmt::format("{}: {}; expected a flight recorder's file of this version of convoy", file.string(), what));
}

Header read_header(const fs::path& file, int descriptor) {
  Header header;
  std::string why;
  if (!read_exactly(descriptor, reinterpret_cast<std::byte*>(&header), sizeof header, 0, why))
    fail(file, fmt::format("its header cannot be read: {}", why));
  if (header.magic != ring_format::kMagic) fail(file, "it is another kind of file");
  if (header.version != ring_format::kVersion) fail(file, fmt::format("version {}", header.version));
  if (ring_format::crc_of(header) != header.crc) fail(file, "its header is damaged");
  if (header.rank < 0 || header.size < 1 || header.size > kMostRanks || header.rank >= header.size || header.slot > 1 ||
      header.block_bytes > trace::kBlockBytes || header.host.back() != 0)
    fail(file, "its header makes no sense");
  return header;
}

std::string printable(const char* text) {
  std::string result(text);
  for (char& c : result)
    if (c < 0x20 || c > 0x7e) c = '?';
  return result;
}

RingReading reading_of(const Header& header, const std::byte* block) {
  RingReading reading{.identity = {.rank = header.rank,
                                   .size = header.size,
                                   .pid = header.pid,
                                   .host = printable(header.host.data()),
                                   .life = header.life},
                      .finished = header.finished != 0,
                      .began_ns = header.began_ns,
                      .last_copy_ns = header.copy_ns,
                      .last_copy_clock = header.copy_clock,
                      .step = trace::step_mark_of(block),
                      .lanes = trace::lanes_of(block)};
  const auto of_the_future = [&](const trace::Record& record) { return record.clock > header.copy_clock + kFuture; };
  for (trace::Lane& lane : reading.lanes) std::erase_if(lane.history, of_the_future);
  std::erase_if(reading.lanes, [](const trace::Lane& lane) { return lane.history.empty(); });
  return reading;
}

}  // namespace

std::string ring_name(int rank) { return fmt::format("{}{:05}{}", kPrefix, rank, kSuffix); }

std::optional<int> rank_of_ring(const std::string& name) {
  int rank = 0;
  if (!name.starts_with(kPrefix)) return {};
  const auto parsed = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), rank);
  if (parsed.ec != std::errc{} || rank < 0 || name != ring_name(rank)) return {};
  return rank;
}

RingReading read_ring(const fs::path& file) {
  const FileDescriptor opened = open_for_reading(file);
  std::vector<std::byte> block(trace::kBlockBytes);
  for (int look = 0; look < kLooks; ++look) {
    const Header header = read_header(file, opened.get());
    std::fill(block.begin(), block.end(), std::byte{0});
    std::string why;
    if (!read_exactly(opened.get(), block.data(), header.block_bytes, ring_format::slot_offset(header.slot), why))
      fail(file, fmt::format("its records cannot be read: {}", why));
    // Where the CRC differs the file may have gone on to the next copy but one meanwhile.
    if (crc32c(block.data(), header.block_bytes) == header.block_crc) return reading_of(header, block.data());
  }
  fail(file, "its records are damaged");
}

std::vector<RingReading> read_rings(const fs::path& folder, std::vector<std::string>& problems) {
  std::vector<RingReading> readings;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const auto rank = rank_of_ring(entry.path().filename().string());
    if (!rank || !entry.is_regular_file(error)) continue;
    try {
      readings.push_back(read_ring(entry.path()));
      if (readings.back().identity.rank == *rank) continue;
      problems.push_back(fmt::format("{}: it is the file of rank {}: renamed", entry.path().string(),
                                     readings.back().identity.rank));
      readings.pop_back();
    } catch (const Error& damaged) {
      problems.push_back(damaged.what());
    }
  }
  std::sort(readings.begin(), readings.end(),
            [](const RingReading& a, const RingReading& b) { return a.identity.rank < b.identity.rank; });
  return readings;
}

}  // namespace convoy
