// convoy data import, killed at random moments: the next import works, and its shards are those of one that was left alone.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <thread>

#include "core/tensor/error.h"
#include "io/dataset.h"
#include "io/jpeg.h"
#include "io/test_pictures.h"
#include "launch/run_command.h"
#include "launch/small_digits.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  if (!fs::exists(folder)) return files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) files[entry.path().filename().string()] = bytes_of(entry.path());
  return files;
}

/// A process of its own, without a shell between: a kill strikes the importer.
pid_t start_import(const char* from, const fs::path& input, const fs::path& output) {
  const pid_t child = fork();
  if (child != 0) return child;
  const std::string in = "--input=" + input.string(), out = "--output=" + output.string(), form = std::string("--from=") + from;
  if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) _exit(1);
  execl(CONVOY_BINARY, "convoy", "data", "import", form.c_str(), in.c_str(), out.c_str(), "--shards=5", "--overwrite",
        static_cast<char*>(nullptr));
  _exit(127);
}

/// Waits; whether it ended by itself, and well.
bool ended_well(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int scaled(int kills) {
  const char* text = std::getenv("CONVOY_TEST_SCALE");
  return kills * (text ? std::max(1, std::atoi(text)) : 1);
}

/// Kills imports at random moments; each time the next one must give the shards of one that was left alone.
void expect_unharmed(const char* from, const fs::path& input, const fs::path& output, std::int64_t samples, std::size_t files) {
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(ended_well(start_import(from, input, output)));
  const auto whole = std::chrono::steady_clock::now() - begin;
  const auto undisturbed = contents(output);
  ASSERT_EQ(undisturbed.size(), files);
  const char* given = std::getenv("CONVOY_TEST_SEED");
  const std::uint64_t seed = given ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::mt19937_64 random(seed);
  int killed = 0;
  const int kills = scaled(6);
  for (int i = 0; i < kills; ++i) {
    if (i % 2 == 0) fs::remove_all(output);  // else it replaces what is there
    const pid_t child = start_import(from, input, output);
    std::this_thread::sleep_for(whole * (random() % 1000) / 1000);
    kill(child, SIGKILL);
    killed += !ended_well(child);
    // What lies there now is whole or is refused.
    try {
      DatasetOptions options;
      options.path = output;
      EXPECT_EQ(open_dataset(options)->info().samples, samples);
    } catch (const DataError&) {
    }
    ASSERT_TRUE(ended_well(start_import(from, input, output))) << "kill " << i << ", CONVOY_TEST_SEED=" << seed;
    ASSERT_EQ(contents(output), undisturbed) << "kill " << i << ", CONVOY_TEST_SEED=" << seed;
  }
  std::printf("%d of %d imports killed, seed %llu\n", killed, kills, static_cast<unsigned long long>(seed));
  EXPECT_GT(killed, 0);
}

TEST(KilledImport, TheNextOneGivesTheSameShards) {
  const TemporaryFolder folder;
  const fs::path input = folder.path() / "idx";
  fs::create_directory(input);
  write_small_digits(input, "train", 6000);
  write_small_digits(input, "t10k", 1000);
  expect_unharmed("idx", input, folder.path() / "shards", 6000, 10);
}

TEST(KilledImport, TheNextOneGoesOnWithPictures) {
  const TemporaryFolder folder;
  const fs::path input = folder.path() / "photos";
  for (const char* name : {"a", "b"})
    for (int i = 0; i < 60; ++i) {
      fs::create_directories(input / name);
      const int seed = i + (*name == 'a' ? 100 : 0);
      write_bytes(input / name / (std::to_string(i) + ".jpg"), text_of_bytes(encode_jpeg(test_picture(700, 500 + i, 3, seed), 90)));
    }
  expect_unharmed("image-folder", input, folder.path() / "shards", 120, 6);  // five shards and the report
}

}  // namespace
}  // namespace convoy
