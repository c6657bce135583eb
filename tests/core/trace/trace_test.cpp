#include "core/trace/trace.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <random>
#include <thread>

namespace convoy::trace {
namespace {

using Block = std::vector<std::byte>;

Block copied() {
  Block block(kBlockBytes);
  copy_block(block.data());
  return block;
}

const Lane* find(const std::vector<Lane>& all, const std::string& thread) {
  for (const Lane& lane : all)
    if (lane.thread == thread) return &lane;
  return nullptr;
}

/// A thread that notes, then lives on until the end of the scope.
class Resting {
 public:
  explicit Resting(const std::function<void()>& notes)
      : thread_([this, notes] {
          notes();
          std::unique_lock lock(mutex_);
          noted_ = true;
          changed_.notify_all();
          changed_.wait(lock, [this] { return end_; });
        }) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return noted_; });
  }
  ~Resting() {
    {
      const std::lock_guard lock(mutex_);
      end_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool noted_ = false, end_ = false;
  std::thread thread_;
};

TEST(Trace, TellsWhatAThreadDoesNow) {
  const std::int64_t before = now();
  const Resting thread([] {
    name_thread("worker 1");
    at_step(37);
    doing(Activity::peer, "gradient bucket 3", 4096, 2);
  });
  for (const auto& all : {lanes(), lanes_of(copied().data())}) {
    const Lane* lane = find(all, "worker 1");
    ASSERT_TRUE(lane);
    const Record& record = lane->now();
    EXPECT_EQ(record.activity, Activity::peer);
    EXPECT_EQ(record.what, "gradient bucket 3");
    EXPECT_EQ(record.bytes, 4096);
    EXPECT_EQ(record.peer, 2);
    EXPECT_EQ(record.step, 37);
    EXPECT_GE(record.clock, before);
    EXPECT_LE(record.clock, now());
  }
}

TEST(Trace, ComesBackToWhatWasDoneBefore) {
  const Resting thread([] {
    name_thread("nested");
    doing(Activity::exchange, "outer", 7, 1);
    const Doing inner(Activity::peer, "inner", 8, 2);
    const Doing innermost(Activity::input, "innermost");
  });
  const auto all = lanes();
  const Lane* lane = find(all, "nested");
  ASSERT_TRUE(lane);
  std::vector<std::string> texts;
  for (const Record& record : lane->history) texts.push_back(record.what);
  EXPECT_EQ(texts, (std::vector<std::string>{"outer", "inner", "innermost", "inner", "outer"}));
  EXPECT_EQ(lane->now().activity, Activity::exchange);
  EXPECT_EQ(lane->now().bytes, 7);
  EXPECT_EQ(lane->now().peer, 1);
}

TEST(Trace, CutsLongTextsAndKeepsTerminalsSafe) {
  const Resting thread([] {
    name_thread("a name of more than sixteen");
    doing(Activity::compute, std::string(200, 'x'));
    const Doing restored(Activity::input, "bell \a escape \x1b[2J umlaut \xc3\xbc");
  });
  const auto all = lanes();
  const Lane* lane = find(all, "a name of more t");
  ASSERT_TRUE(lane);
  ASSERT_EQ(lane->history.size(), 3U);
  EXPECT_EQ(lane->history[0].what, std::string(kWhatBytes, 'x'));
  EXPECT_EQ(lane->history[1].what, "bell ? escape ?[2J umlaut ??");
  EXPECT_EQ(lane->history[2].what, std::string(kWhatBytes, 'x'));
}

TEST(Trace, KeepsTheNewestRecordsInOrder) {
  constexpr int kNotes = 100;
  const Resting thread([] {
    name_thread("busy");
    for (int i = 0; i < kNotes; ++i) doing(Activity::compute, std::to_string(i), i);
  });
  const auto all = lanes();
  const Lane* lane = find(all, "busy");
  ASSERT_TRUE(lane);
  EXPECT_EQ(lane->records, static_cast<std::uint64_t>(kNotes));
  ASSERT_EQ(lane->history.size(), kRecords - 1);  // the oldest slot is where the next record may be coming
  for (std::size_t i = 0; i < lane->history.size(); ++i)
    EXPECT_EQ(lane->history[i].bytes, static_cast<std::int64_t>(kNotes - lane->history.size() + i));
}

TEST(Trace, LetsGoOfALaneWhenItsThreadEnds) {
  for (std::size_t i = 0; i < 4 * kLanes; ++i) {
    std::thread([] {
      name_thread("short-lived");
      doing(Activity::compute, "ending soon");
    }).join();
  }
  EXPECT_FALSE(find(lanes(), "short-lived"));
  EXPECT_FALSE(find(lanes_of(copied().data()), "short-lived"));
  const Resting thread([] {
    name_thread("successor");
    doing(Activity::compute, "its own");
  });
  const auto all = lanes();
  const Lane* lane = find(all, "successor");
  ASSERT_TRUE(lane);
  EXPECT_EQ(lane->records, 1U);  // nothing of those who had the lane before
  ASSERT_EQ(lane->history.size(), 1U);
  EXPECT_EQ(lane->now().what, "its own");
}

TEST(Trace, RecordsOnlySoManyThreadsAtOnce) {
  std::vector<std::unique_ptr<Resting>> threads;
  for (std::size_t i = 0; i < kLanes + 8; ++i)
    threads.push_back(std::make_unique<Resting>([] {
      doing(Activity::compute, "one of many");
      const Doing restored(Activity::input, "for a moment");
    }));
  const std::size_t seen = lanes().size();
  EXPECT_GE(seen, kLanes - 1);  // this program's main thread may have one
  EXPECT_LE(seen, kLanes);
  EXPECT_EQ(lanes_of(copied().data()).size(), seen);
}

/// What a record written by note_round(i) must look like.
void note_round(std::int64_t i) {
  doing(static_cast<Activity>(i % kActivities), std::string(static_cast<std::size_t>(i % kWhatBytes) + 1, char('a' + i % 26)),
        i, static_cast<int>(i % 1000));
}

bool is_whole(const Record& record) {
  const std::int64_t i = record.bytes;
  return record.activity == static_cast<Activity>(i % kActivities) && record.peer == i % 1000 &&
         record.what == std::string(static_cast<std::size_t>(i % kWhatBytes) + 1, char('a' + i % 26));
}

/// A generous end for loops that wait until they have seen enough.
class Deadline {
 public:
  bool operator()() const { return now() > end_; }

 private:
  std::int64_t end_ = now() + 90'000'000'000;
};

TEST(Trace, IsReadWholeWhileItIsWritten) {
  const Deadline too_late;
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    name_thread("writer");
    for (std::int64_t i = 1; !stop; ++i) note_round(i);
  });
  std::size_t looks = 0, torn = 0, disordered = 0;
  std::int64_t newest = 0;
  for (int i = 0; looks < 2000 && !too_late(); ++i) {
    const auto all = i % 2 ? lanes() : lanes_of(copied().data());
    const Lane* lane = find(all, "writer");
    if (!lane) continue;
    ++looks;
    for (const Record& record : lane->history) torn += !is_whole(record);
    for (std::size_t r = 1; r < lane->history.size(); ++r)
      disordered += lane->history[r].bytes != lane->history[r - 1].bytes + 1;
    EXPECT_GE(lane->now().bytes, newest);
    newest = lane->now().bytes;
  }
  stop = true;
  writer.join();
  EXPECT_GE(looks, 2000U);
  EXPECT_EQ(torn, 0U);
  EXPECT_EQ(disordered, 0U);
}

TEST(Trace, NeverMixesTheRecordsOfThreadsThatComeAndGo) {
  const Deadline too_late;
  std::atomic<bool> stop{false};
  std::atomic<std::int64_t> number{0};
  const auto generations = [&] {
    while (!stop)
      std::thread([n = ++number] {
        for (int i = 0; i < 50; ++i) doing(Activity::compute, std::to_string(n), n, i);
      }).join();
  };
  std::thread first(generations), second(generations);
  std::size_t looks = 0, mixed = 0;
  for (int i = 0; (looks < 500 || number < 50) && !too_late(); ++i) {
    for (const Lane& lane : i % 2 ? lanes() : lanes_of(copied().data())) {
      ++looks;
      int last = -1;
      for (const Record& record : lane.history) {
        mixed += record.bytes != lane.now().bytes || record.what != std::to_string(record.bytes) || record.peer <= last;
        last = record.peer;
      }
    }
  }
  stop = true;
  first.join();
  second.join();
  EXPECT_GE(looks, 500U);
  EXPECT_EQ(mixed, 0U);
}

/// Reads everything, so that a sanitizer sees what is wrong.
std::size_t text_bytes(const Block& block) {
  std::size_t bytes = static_cast<std::size_t>(step_mark_of(block.data()).step == 0);
  for (const Lane& lane : lanes_of(block.data())) {
    EXPECT_FALSE(lane.history.empty());
    bytes += lane.thread.size();
    for (const Record& record : lane.history) bytes += record.what.size() + name_of(record.activity).size();
  }
  return bytes;
}

TEST(Trace, ReadsDamagedBlocksWithoutHarm) {
  std::mt19937_64 random(20250131);
  const Resting thread([] {
    for (int i = 0; i < 50; ++i) doing(Activity::compute, "conv1 conv", i, i);
  });
  const Block good = copied();
  ASSERT_GT(text_bytes(good), 0U);
  for (int round = 0; round < 300; ++round) {
    Block block = good;
    for (int flip = 0; flip < 40; ++flip)  // most of a block is zero: hit the lanes in use
      block[random() % (8 * (2 + 2 * kLaneWords))] ^= std::byte(1 << random() % 8);
    text_bytes(block);
  }
  for (int round = 0; round < 50; ++round) {
    Block block(kBlockBytes);
    for (std::size_t i = 0; i < block.size(); i += 8) {
      const std::uint64_t word = random() >> random() % 64;
      std::memcpy(&block[i], &word, 8);
    }
    text_bytes(block);
  }
}

TEST(Trace, LeavesOutRecordsWhoseClockFalls) {
  const Resting thread([] {
    name_thread("mended");
    for (int i = 0; i < 3; ++i) doing(Activity::compute, std::to_string(i));
  });
  Block block = copied();
  std::size_t lane = 0;
  const auto word = [&](std::size_t i) { return block.data() + 8 * (2 + lane * kLaneWords + i); };
  while (std::memcmp(word(2), "mended", 7) != 0) ASSERT_LT(++lane, kLanes);
  std::uint64_t records = 0;
  std::memcpy(&records, word(0), 8);
  const std::int64_t past = 1;  // the newest record's slot holds something older
  std::memcpy(word(4 + (records - 1) % kRecords * kRecordWords), &past, 8);
  const auto all = lanes_of(block.data());
  ASSERT_TRUE(find(all, "mended"));
  EXPECT_EQ(find(all, "mended")->now().what, "1");
}

TEST(Trace, KnowsTheStepUnderWayAndSinceWhen) {
  const std::int64_t before = now();
  at_step(12);
  EXPECT_EQ(step_mark().step, 12);
  EXPECT_GE(step_mark().since, before);
  EXPECT_EQ(step_mark_of(copied().data()).step, 12);
  EXPECT_EQ(step_mark_of(copied().data()).since, step_mark().since);
}

}  // namespace
}  // namespace convoy::trace
