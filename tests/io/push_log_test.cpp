#include "io/push_log.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/tensor/error.h"
#include "temporary_folder.h"

namespace convoy {
namespace {

LogEntry update_of(std::int64_t version) {
  return {.kind = LogEntry::Kind::update, .version = version, .pushes = {{1, version, {{2 * version, version}, {2 * version + 1, -1}}}},
          .staleness = 3, .rate = 0.1, .left_out = {}};
}

void write(const std::filesystem::path& file, std::int64_t entries) {
  PushLog log(file, 0);
  for (std::int64_t version = 0; version < entries; ++version) log.append(update_of(version));
  log.append({.kind = LogEntry::Kind::evaluation, .version = entries, .pushes = {}, .left_out = {}, .epoch = 4});
  EXPECT_EQ(log.entries(), entries + 1);
}

TEST(PushLog, IsReadAsItWasWritten) {
  TemporaryFolder folder;
  const auto file = folder.path() / "pushes.jsonl";
  write(file, 3);
  {
    PushLog more(file, 4);
    more.append({.kind = LogEntry::Kind::skipped, .version = 3, .pushes = {{0, 9, {{7, 2}}}}, .left_out = {}});
    more.append({.kind = LogEntry::Kind::left_out, .version = 3, .pushes = {}, .left_out = {8, 9}});
  }
  const auto entries = read_push_log(file);
  ASSERT_EQ(entries.size(), 6u);
  EXPECT_EQ(entries[2].pushes[0].units, (std::vector<std::pair<std::int64_t, std::int64_t>>{{4, 2}, {5, -1}}));
  const std::string record = to_json({.kind = LogEntry::Kind::record, .version = 0, .pushes = {}, .left_out = {}, .record = {{"a", "b"}}});
  EXPECT_EQ(record, R"({"version":0,"record":{"a":"b"}})");
  EXPECT_EQ(entries[2].staleness, 3);
  EXPECT_EQ(entries[2].rate, 0.1) << "to the last bit";
  EXPECT_EQ(entries[3].epoch, 4);
  EXPECT_EQ(entries[4].kind, LogEntry::Kind::skipped);
  EXPECT_EQ(entries[5].left_out, (std::vector<std::int64_t>{8, 9}));
}

TEST(PushLog, GoesOnBehindTheCheckpointsEntries) {
  TemporaryFolder folder;
  const auto file = folder.path() / "pushes.jsonl";
  write(file, 3);
  PushLog(file, 2).append(update_of(2));
  EXPECT_EQ(read_push_log(file).size(), 3u);
  EXPECT_THROW(PushLog(file, 9), DataError);
}

TEST(PushLog, ThatIsDamagedIsRefusedWithItsLine) {
  TemporaryFolder folder;
  const auto file = folder.path() / "pushes.jsonl";
  EXPECT_THROW(read_push_log(file), DataError);
  for (const std::string line : {"nonsense", R"({"version":7,"pushes":[]})", R"({"version":3,"pushes":[],"staleness":0,"rate":1})"}) {
    write(file, 3);
    std::ofstream(file, std::ios::app) << line << "\n";
    try {
      read_push_log(file);
      FAIL() << line;
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find("pushes.jsonl:5"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace convoy
