#include "io/run_lives.h"

#include <gtest/gtest.h>

#include "io/ring_file.h"
#include "io/run_lock.h"
#include "temporary_folder.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

void leave_ring(const fs::path& run, int rank, int life) {
  const RingFile ring(watch_folder(run), {.rank = rank, .size = 2, .pid = 1, .host = "h", .life = life});
}

int begin(const fs::path& run) {
  std::string warning;
  const int life = begin_life(run, warning);
  EXPECT_EQ(warning, "");
  return life;
}

TEST(RunLives, CountFromOne) {
  const TemporaryFolder run;
  EXPECT_EQ(begin(run.path()), 1);
  EXPECT_EQ(begin(run.path()), 2);
  EXPECT_EQ(begin(run.path()), 3);
  EXPECT_EQ(newest_life(run.path()).life, 3);
}

TEST(RunLives, PutTheFilesOfTheLifeBeforeAsideWithItsStatus) {
  const TemporaryFolder run;
  begin(run.path());
  leave_ring(run.path(), 0, 1);
  leave_ring(run.path(), 1, 1);
  write_bytes(run.path() / "status.json", "the status");
  write_bytes(run.path() / "watch/notes.txt", "the user's own");
  fs::create_directories(run.path() / "checkpoints");
  write_bytes(run.path() / "checkpoints/step-00000350.h5", "");
  EXPECT_EQ(begin(run.path()), 2);
  const std::vector<Life> lives = earlier_lives(run.path());
  ASSERT_EQ(lives.size(), 1U);
  EXPECT_EQ(lives[0].folder, run.path() / "watch/life-0001");
  EXPECT_EQ(lives[0].mark.life, 1);
  EXPECT_EQ(lives[0].mark.step, 0);
  EXPECT_FALSE(lives[0].mark.began.empty());
  EXPECT_EQ(bytes_of(lives[0].folder / "status.json"), "the status");
  EXPECT_TRUE(fs::exists(run.path() / "status.json"));  // the run itself removes it
  std::vector<std::string> problems;
  EXPECT_EQ(read_rings(lives[0].folder, problems).size(), 2U);
  EXPECT_TRUE(read_rings(watch_folder(run.path()), problems).empty());
  EXPECT_TRUE(problems.empty());
  EXPECT_EQ(bytes_of(run.path() / "watch/notes.txt"), "the user's own");
  EXPECT_EQ(newest_life(run.path()).step, 350);
}

TEST(RunLives, KeepTheNewestTen) {
  const TemporaryFolder run;
  for (int life = 1; life <= 14; ++life) EXPECT_EQ(begin(run.path()), life);
  const std::vector<Life> lives = earlier_lives(run.path());
  ASSERT_EQ(lives.size(), static_cast<std::size_t>(kLivesKept));
  EXPECT_EQ(lives.front().mark.life, 4);
  EXPECT_EQ(lives.back().mark.life, 13);
}

TEST(RunLives, GoOnWhereABeginningWasInterrupted) {
  const TemporaryFolder run;
  begin(run.path());
  leave_ring(run.path(), 0, 1);
  leave_ring(run.path(), 1, 1);
  // Killed after the first file had been moved.
  fs::create_directories(run.path() / "watch/life-0001");
  fs::rename(run.path() / "watch" / ring_name(0), run.path() / "watch/life-0001" / ring_name(0));
  EXPECT_EQ(begin(run.path()), 2);
  std::vector<std::string> problems;
  EXPECT_EQ(read_rings(run.path() / "watch/life-0001", problems).size(), 2U);
  EXPECT_EQ(earlier_lives(run.path()).size(), 1U);
}

TEST(RunLives, TakeTheNumberFromTheFilesWhereLifeJsonIsDamaged) {
  const TemporaryFolder run;
  fs::create_directories(run.path() / "watch");
  leave_ring(run.path(), 0, 6);
  write_bytes(run.path() / "watch/life.json", "{\"life\": 99999999999999, ");
  EXPECT_EQ(newest_life(run.path()).life, 0);
  EXPECT_EQ(begin(run.path()), 7);
  EXPECT_EQ(earlier_lives(run.path()).at(0).mark.life, 6);
}

TEST(RunLives, GiveAWarningWhereTheFolderCannotBeMade) {
  const TemporaryFolder run;
  write_bytes(run.path() / "watch", "a file");
  std::string warning;
  EXPECT_EQ(begin_life(run.path(), warning), 1);
  EXPECT_NE(warning.find("watch"), std::string::npos) << warning;
  EXPECT_EQ(bytes_of(run.path() / "watch"), "a file");
}

TEST(RunLock, CanBeLookedAtWithoutTakingIt) {
  const TemporaryFolder run;
  EXPECT_EQ(look_at_lock(run.path()).state, LockState::unknown);
  {
    const RunLock lock(run.path());
    EXPECT_EQ(look_at_lock(run.path()).state, LockState::held);
    EXPECT_NE(look_at_lock(run.path()).holder.find("process "), std::string::npos);
  }
  EXPECT_EQ(look_at_lock(run.path()).state, LockState::free);
  const RunLock again(run.path());
}

}  // namespace
}  // namespace convoy
