#include "io/ring_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <random>

#include "core/tensor/error.h"
#include "io/crc32c.h"
#include "support/driven_rank.h"
#include "temporary_folder.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using trace::Activity;

RingIdentity identity(int rank = 3) {
  return {.rank = rank, .size = 8, .pid = getpid(), .host = "node-17", .life = 4};
}

const trace::Lane* find(const RingReading& reading, const std::string& thread) {
  for (const trace::Lane& lane : reading.lanes)
    if (lane.thread == thread) return &lane;
  return nullptr;
}

std::string message_of_reading(const fs::path& file) {
  try {
    read_ring(file);
  } catch (const DataError& error) {
    return error.what();
  }
  return "";
}

/// A whole file of a process that has left.
fs::path finished_file(const fs::path& folder) {
  trace::name_thread("tester");
  trace::doing(Activity::input, "train-00002-of-00004.h5", 784);
  const RingFile ring(folder, identity());
  return folder / ring_name(3);
}

TEST(RingFile, HoldsWhatTheProcessDoesAndWhoItIs) {
  const TemporaryFolder scratch;
  const fs::path file = scratch.path() / "watch" / ring_name(3);
  trace::name_thread("tester");
  trace::at_step(12);
  trace::doing(Activity::input, "train-00002-of-00004.h5", 784);
  const RingFile ring(scratch.path() / "watch", identity());
  ASSERT_TRUE(comes_true([&] { return message_of_reading(file).empty(); }));
  trace::doing(Activity::checkpoint, "writing step-00000012.h5");
  ASSERT_TRUE(comes_true([&] { return find(read_ring(file), "tester")->now().activity == Activity::checkpoint; }));
  const RingReading reading = read_ring(file);
  EXPECT_EQ(reading.identity.rank, 3);
  EXPECT_EQ(reading.identity.size, 8);
  EXPECT_EQ(reading.identity.pid, getpid());
  EXPECT_EQ(reading.identity.host, "node-17");
  EXPECT_EQ(reading.identity.life, 4);
  EXPECT_EQ(reading.step.step, 12);
  EXPECT_FALSE(reading.finished);
  const trace::Lane* lane = find(reading, "tester");
  EXPECT_EQ(lane->now().what, "writing step-00000012.h5");
  EXPECT_EQ(lane->history[lane->history.size() - 2].what, "train-00002-of-00004.h5");
  EXPECT_EQ(lane->history[lane->history.size() - 2].bytes, 784);
  EXPECT_LE(reading.date_of(lane->now().clock), reading.last_copy_ns);
  EXPECT_GE(reading.date_of(lane->now().clock), reading.began_ns);
  EXPECT_EQ(ring.warning(), "");
}

TEST(RingFile, GoesOnTellingThatTheProcessLivesWhereNothingChanges) {
  const TemporaryFolder scratch;
  trace::doing(Activity::idle, "");
  const RingFile ring(scratch.path(), identity());
  const fs::path file = scratch.path() / ring_name(3);
  ASSERT_TRUE(comes_true([&] { return message_of_reading(file).empty(); }));
  const std::int64_t first = read_ring(file).last_copy_ns;
  EXPECT_TRUE(comes_true([&] { return read_ring(file).last_copy_ns > first; }));
}

TEST(RingFile, MarksAProcessThatLeftInOrder) {
  const TemporaryFolder scratch;
  EXPECT_TRUE(read_ring(finished_file(scratch.path())).finished);
  DrivenRank rank(scratch.path(), 5, 8, "end");
  EXPECT_EQ(rank.wait(), 0);
  EXPECT_TRUE(read_ring(scratch.path() / ring_name(5)).finished);
}

TEST(RingFile, TellsAfterAKillWhatTheProcessDid) {
  const TemporaryFolder scratch;
  DrivenRank rank(scratch.path(), 1, 2, "peer:0");
  ASSERT_TRUE(comes_true([&] { return rank.is_seen(); }));
  const int pid = rank.pid();
  EXPECT_EQ(rank.kill_now(), -SIGKILL);
  const RingReading reading = read_ring(scratch.path() / ring_name(1));
  EXPECT_FALSE(reading.finished);
  EXPECT_EQ(reading.identity.pid, pid);
  EXPECT_EQ(reading.step.step, 37);
  const trace::Lane* lane = find(reading, "main");
  ASSERT_TRUE(lane);
  EXPECT_EQ(lane->now().activity, Activity::peer);
  EXPECT_EQ(lane->now().peer, 0);
  EXPECT_EQ(lane->now().what, "gradient bucket 3");
}

TEST(RingFile, IsWholeWheneverItsWriterIsKilled) {
  const TemporaryFolder scratch;
  const unsigned seed = 20250131;
  std::mt19937 random(seed);
  for (int round = 0; round < 20; ++round) {
    DrivenRank rank(scratch.path(), 0, 1, "busy");
    ASSERT_TRUE(comes_true([&] { return rank.is_seen(); }));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 40'000));
    rank.kill_now();
    const RingReading reading = read_ring(scratch.path() / ring_name(0));
    const trace::Lane* lane = find(reading, "main");
    ASSERT_TRUE(lane) << "seed " << seed << ", round " << round;
    for (std::size_t i = 1; i < lane->history.size(); ++i) {
      const trace::Record& record = lane->history[i];
      EXPECT_EQ(record.what, std::to_string(record.bytes)) << "seed " << seed << ", round " << round;
      EXPECT_EQ(record.bytes, i > 1 ? lane->history[i - 1].bytes + 1 : record.bytes);
    }
    fs::remove(scratch.path() / ring_name(0));
  }
}

/// The words of the header that name the valid slot: which, its bytes, their CRC-32C.
std::array<std::uint32_t, 3> slot_words(const fs::path& file) {
  std::array<std::uint32_t, 3> words{};
  const std::string bytes = bytes_of(file);
  if (bytes.size() >= 76) std::memcpy(words.data(), bytes.data() + 64, sizeof words);
  return words;
}

TEST(RingFile, LeavesTheCopyBeforeWholeWhileItWritesTheNext) {
  const TemporaryFolder scratch;
  const fs::path file = scratch.path() / ring_name(3);
  trace::doing(Activity::compute, "before");
  const RingFile ring(scratch.path(), identity());
  ASSERT_TRUE(comes_true([&] { return message_of_reading(file).empty(); }));
  const auto [slot, size, crc] = slot_words(file);
  trace::doing(Activity::compute, "after");
  ASSERT_TRUE(comes_true([&] { return slot_words(file)[2] != crc; }));
  const std::string bytes = bytes_of(file);
  EXPECT_EQ(crc32c(bytes.data() + kRingFirstSlot + slot * kRingSlotBytes, size), crc);
  EXPECT_NE(slot_words(file)[0], slot);
}

TEST(RingFile, CanBeReadWhileItIsWritten) {
  const TemporaryFolder scratch;
  DrivenRank rank(scratch.path(), 0, 1, "busy");
  ASSERT_TRUE(comes_true([&] { return rank.is_seen(); }));
  for (int look = 0; look < 300; ++look) EXPECT_EQ(message_of_reading(scratch.path() / ring_name(0)), "");
}

TEST(RingFile, GivesAWarningAndNothingElseWhereTheFolderIsLost) {
  const TemporaryFolder scratch;
  write_bytes(scratch.path() / "file", "");
  const RingFile ring(scratch.path() / "file" / "watch", identity());
  EXPECT_TRUE(comes_true([&] { return !ring.warning().empty(); }));
  EXPECT_NE(ring.warning().find("file/watch/rank-00003.ring cannot be made: Not a directory"), std::string::npos)
      << ring.warning();
}

TEST(RingFile, NeverFollowsALink) {
  const TemporaryFolder scratch;
  write_bytes(scratch.path() / "precious", "content");
  fs::create_symlink(scratch.path() / "precious", scratch.path() / ring_name(3));
  const RingFile ring(scratch.path(), identity());
  EXPECT_TRUE(comes_true([&] { return !ring.warning().empty(); }));
  EXPECT_EQ(bytes_of(scratch.path() / "precious"), "content");
}

TEST(RingFile, DoesNotHoldUpTheEndOfARunWhereTheFileSystemHangs) {
  const TemporaryFolder scratch;
  // Opening a pipe that nobody reads blocks for ever, as a lost file server does.
  ASSERT_EQ(mkfifo((scratch.path() / ring_name(3)).c_str(), 0600), 0);
  { const RingFile ring(scratch.path(), identity()); }  // comes back; the test's time limit says so
  SUCCEED();
}

TEST(RingFile, NamesWhatIsWrongWithAFile) {
  const TemporaryFolder scratch;
  const fs::path file = finished_file(scratch.path());
  const std::string good = bytes_of(file);
  ASSERT_EQ(message_of_reading(file), "");
  const auto expect = [&](const std::string& bytes, const std::string& words) {
    write_bytes(file, bytes);
    const std::string message = message_of_reading(file);
    EXPECT_NE(message.find(words), std::string::npos) << message;
    EXPECT_NE(message.find("rank-00003.ring"), std::string::npos) << message;
  };
  expect("", "header cannot be read");
  expect(good.substr(0, 300), "header cannot be read");
  expect(good.substr(0, 4000), "records cannot be read");
  expect(std::string(good.size(), 'x'), "another kind of file");
  std::string other = good;
  other[8] = 2;
  expect(other, "version 2");
  other = good;
  other[16] ^= 1;
  expect(other, "header is damaged");
  other = good;
  other.back() ^= 1;
  for (std::size_t i = kRingFirstSlot; i < other.size(); i += 64) other[i] ^= 4;
  expect(other, "records are damaged");
}

TEST(RingFile, NoticesEveryFlippedBitThatMatters) {
  const TemporaryFolder scratch;
  const fs::path file = finished_file(scratch.path());
  const std::string good = bytes_of(file);
  const RingReading expected = read_ring(file);
  const unsigned seed = 7;
  std::mt19937 random(seed);
  int noticed = 0;
  for (int round = 0; round < 400; ++round) {
    std::string bytes = good;
    bytes[(round % 2 ? random() % kRingHeaderBytes : random() % good.size())] ^= static_cast<char>(1 << random() % 8);
    write_bytes(file, bytes);
    if (!message_of_reading(file).empty()) {
      ++noticed;
      continue;
    }
    const RingReading reading = read_ring(file);
    EXPECT_EQ(reading.identity.pid, expected.identity.pid) << "seed " << seed << ", round " << round;
    ASSERT_TRUE(find(reading, "tester"));
    EXPECT_EQ(find(reading, "tester")->now().what, find(expected, "tester")->now().what);
    EXPECT_EQ(reading.last_copy_ns, expected.last_copy_ns);
  }
  EXPECT_GE(noticed, 200);  // every flip in a header at least
}

TEST(RingFile, ReadsAFolderInTheOrderOfRanksAndSaysWhatItCannotRead) {
  const TemporaryFolder scratch;
  std::vector<std::string> problems;
  EXPECT_TRUE(read_rings(scratch.path() / "nowhere", problems).empty());
  EXPECT_TRUE(problems.empty());
  for (int rank : {10, 2}) {
    DrivenRank driven(scratch.path(), rank, 11, "end");
    driven.wait();
  }
  fs::copy_file(scratch.path() / ring_name(2), scratch.path() / ring_name(7));
  write_bytes(scratch.path() / ring_name(4), "no ring");
  write_bytes(scratch.path() / "rank-4.ring", "another name");
  fs::create_directory(scratch.path() / ring_name(5));
  const std::vector<RingReading> readings = read_rings(scratch.path(), problems);
  ASSERT_EQ(readings.size(), 2U);
  EXPECT_EQ(readings[0].identity.rank, 2);
  EXPECT_EQ(readings[1].identity.rank, 10);
  ASSERT_EQ(problems.size(), 2U);
  EXPECT_NE((problems[0] + problems[1]).find("rank-00007.ring: it is the file of rank 2: renamed"), std::string::npos);
  EXPECT_NE((problems[0] + problems[1]).find("rank-00004.ring: its header cannot be read"), std::string::npos);
}

}  // namespace
}  // namespace convoy
