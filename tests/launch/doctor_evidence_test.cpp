// The doctor on real files, of processes that were really killed.
#include <gtest/gtest.h>

#include "core/tensor/error.h"
#include "io/checkpoint.h"
#include "io/temporary_folder.h"
#include "launch/doctor/diagnose.h"
#include "support/driven_rank.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class RunOfDrivers : public testing::Test {
 protected:
  RunOfDrivers() {
    fs::create_directories(run() / "watch");
    const RunLock lock(run());  // and let go again: nobody is at work
  }
  fs::path run() const { return scratch_.path() / "runs/weekend"; }
  Verdict verdict() const { return diagnose(gather_evidence(run(), false)); }

  void start(const std::vector<std::string>& modes) {
    for (std::size_t rank = 0; rank < modes.size(); ++rank)
      ranks_.push_back(std::make_unique<DrivenRank>(run() / "watch", static_cast<int>(rank), static_cast<int>(modes.size()), modes[rank]));
    for (const auto& rank : ranks_) ASSERT_TRUE(comes_true([&] { return rank->is_seen(); }));
  }

  TemporaryFolder scratch_;
  std::vector<std::unique_ptr<DrivenRank>> ranks_;
};

TEST_F(RunOfDrivers, KilledOneBeforeTheOthersIsNamed) {
  start({"peer:1", "compute", "peer:1"});
  ranks_[1]->kill_now();
  std::this_thread::sleep_for(std::chrono::seconds(1));  // mpirun takes about that to end the others
  ranks_.clear();
  const Verdict verdict = this->verdict();
  EXPECT_EQ(verdict.outcome, Outcome::crashed) << verdict.sentence;
  EXPECT_EQ(verdict.rank, 1) << verdict.sentence;
  EXPECT_NE(verdict.sentence.find("in step 37"), std::string::npos) << verdict.sentence;
  EXPECT_NE(verdict.sentence.find("computing conv1 conv"), std::string::npos) << verdict.sentence;
  EXPECT_EQ(verdict.ranks.size(), 3U);
}

TEST_F(RunOfDrivers, KilledWhileWritingACheckpointSaysSo) {
  start({"checkpoint"});
  ranks_.clear();
  const std::string sentence = verdict().sentence;
  EXPECT_NE(sentence.find("while it was writing step-00000036.h5"), std::string::npos) << sentence;
}

TEST_F(RunOfDrivers, GoingOnAreToldWhatTheyDoAndWhoIsWaitedFor) {
  const RunLock lock(run());
  start({"peer:1", "compute"});
  Verdict verdict = this->verdict();
  EXPECT_EQ(verdict.outcome, Outcome::running) << verdict.sentence;
  ASSERT_TRUE(comes_true([&] { return (verdict = this->verdict()).outcome == Outcome::hanging; }));
  EXPECT_EQ(verdict.rank, 1) << verdict.sentence;
  EXPECT_NE(verdict.sentence.find("rank 0 waits for rank 1"), std::string::npos) << verdict.sentence;
}

TEST_F(RunOfDrivers, DamagedAndForeignFilesGiveASentence) {
  start({"compute", "compute"});
  ranks_.clear();
  fs::resize_file(run() / "watch" / ring_name(1), 700);
  write_bytes(run() / "watch" / ring_name(2), "foreign");
  write_bytes(run() / "watch/life.json", "{");
  write_bytes(run() / "status.json", "{\"status\": ");
  write_bytes(run() / "metrics.jsonl", "{\"kind\":\"train\",\"step\":36,\"loss\":0.5}\n{\"kind\":\"train\",\"st");
  const Verdict verdict = this->verdict();
  EXPECT_EQ(verdict.problems.size(), 3U);
  EXPECT_EQ(verdict.rank, 0) << verdict.sentence;
  EXPECT_NE(to_text(verdict).find("step 36, loss 0.5"), std::string::npos);
}

TEST_F(RunOfDrivers, OfAnEarlierLifeAreLeftOut) {
  start({"end", "end"});
  for (auto& rank : ranks_) rank->wait();
  write_bytes(run() / "watch/life.json", R"({"life": 2, "began": "2025-01-31T12:00:00Z", "step": 30})");
  write_bytes(run() / "status.json", R"({"status": 75, "reason": "stopped", "step": 30, "epoch": 0.1, "checkpoint": null,
                                         "rank": null, "time": "2025-01-31T11:00:00Z"})");
  const Verdict verdict = this->verdict();
  EXPECT_TRUE(verdict.ranks.empty());
  EXPECT_EQ(verdict.outcome, Outcome::crashed) << verdict.sentence;
  EXPECT_NE(verdict.sentence.find("life 2"), std::string::npos) << verdict.sentence;
}

std::string refusal(const fs::path& run) {
  try {
    gather_evidence(run, false);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

TEST_F(RunOfDrivers, NearTheNameThatWasMeantAreSuggested) {
  EXPECT_NE(refusal(scratch_.path() / "runs/wekend").find("did you mean weekend?"), std::string::npos);
  EXPECT_NE(refusal(scratch_.path() / "runs").find("it holds runs: "), std::string::npos);
  write_bytes(scratch_.path() / "file", "");
  EXPECT_NE(refusal(scratch_.path() / "file").find("found a file"), std::string::npos);
  EXPECT_EQ(refusal(run().string() + "/"), "");
}

}  // namespace
}  // namespace convoy
