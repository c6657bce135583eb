// The doctor's reasoning, on evidence that is made up.
#include "launch/doctor/diagnose.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "launch/doctor/deaths.h"
#include "made_up_run.h"

namespace convoy {
namespace {

using namespace test;
using trace::Activity;

void expect_words(const std::string& text, std::initializer_list<const char*> words) {
  for (const char* word : words) EXPECT_NE(text.find(word), std::string::npos) << '"' << word << "\" in: " << text;
}

std::string details_of(const Verdict& verdict) {
  std::string all;
  for (const std::string& detail : verdict.details) all += detail + "\n";
  return all;
}

RunStatus status_of(int status, const std::string& reason, int rank = -1) {
  return {.status = status, .reason = reason, .step = 37, .epoch = 0.5, .checkpoint = "checkpoints/step-00000037.h5",
          .rank = rank, .time = "2025-01-31T11:59:00Z"};
}

std::vector<RankNote> finished_ranks() { return {{.rank = 0, .ago = 60, .finished = true}, {.rank = 1, .ago = 60, .finished = true}}; }

// --- runs that ended with a status

TEST(Doctor, SaysThatARunIsDone) {
  RunEvidence evidence = made_up_run(finished_ranks());
  evidence.life.status = status_of(0, "done");
  const Verdict verdict = diagnose(evidence);
  EXPECT_EQ(verdict.outcome, Outcome::done);
  EXPECT_EQ(verdict.sentence, "done: step 37 (epoch 0.50), 2025-01-31T11:59:00Z");
  EXPECT_EQ(verdict.next, "convoy evaluate --checkpoint=runs/weekend");
}

TEST(Doctor, TellsHowToGoOnAfterASignal) {
  RunEvidence evidence = made_up_run(finished_ranks());
  evidence.life.status = status_of(75, "stopped by a signal after step 37; --resume=latest goes on");
  const Verdict verdict = diagnose(evidence);
  EXPECT_EQ(verdict.outcome, Outcome::stopped);
  expect_words(verdict.sentence, {"stopped by a signal after step 37", "checkpoints/step-00000037.h5"});
  EXPECT_EQ(verdict.next,
            "mpirun -n 2 convoy train --config=runs/weekend/config.cfg --run=weekend --runs=runs --resume=latest");
}

TEST(Doctor, PassesOnWhyAConfigWasRefusedOrDataAreBad) {
  RunEvidence evidence = made_up_run(finished_ranks());
  evidence.life.status = status_of(2, "optim.rte: no such option");
  EXPECT_EQ(diagnose(evidence).outcome, Outcome::refused);
  EXPECT_EQ(diagnose(evidence).sentence, "refused: optim.rte: no such option");
  EXPECT_EQ(diagnose(evidence).next.find("resume"), std::string::npos);
  evidence.life.status = status_of(3, "train-00001-of-00003.h5, sample 17: damaged", 1);
  EXPECT_EQ(diagnose(evidence).outcome, Outcome::bad_data);
  EXPECT_EQ(diagnose(evidence).rank, 1);
  expect_words(diagnose(evidence).next, {"convoy data verify", "--resume=latest"});
}

TEST(Doctor, LetsARefusedCommandNotHideHowTheRunStands) {
  RunEvidence evidence = made_up_run(finished_ranks());
  evidence.earlier.push_back(evidence.life);
  evidence.earlier.back().status = status_of(0, "done; without the steps 7, which were not finite (--on-nan)");
  evidence.life.status = status_of(2, "optim.rte: no such option");
  const Verdict verdict = diagnose(evidence);
  EXPECT_EQ(verdict.outcome, Outcome::done);
  EXPECT_NE(verdict.sentence.find("without the steps 7"), std::string::npos) << verdict.sentence;
  EXPECT_NE(details_of(verdict).find("refused: optim.rte: no such option"), std::string::npos) << details_of(verdict);
  EXPECT_TRUE(verdict.lives.empty());
}

TEST(Doctor, QuotesPathsInTheNextCommand) {
  RunEvidence evidence = made_up_run({{.rank = 0, .ago = 60}});
  evidence.run = "my runs/it's";
  evidence.has_config = true;
  evidence.life.status = status_of(1, "out of memory", 0);
  EXPECT_NE(diagnose(evidence).next.find("--config='my runs/it'\\''s/config.cfg' --run='it'\\''s' --runs='my runs'"),
            std::string::npos)
      << diagnose(evidence).next;
}

TEST(Doctor, SendsNobodyIntoAnotherLifeThatWouldMeetTheSame) {
  RunEvidence evidence = made_up_run({{.rank = 0, .ago = 60}});
  evidence.life.status = status_of(1, "step 7: the loss is nan");
  evidence.life.status->again = false;
  EXPECT_TRUE(diagnose(evidence).next.starts_with("mend what the message names")) << diagnose(evidence).next;
}

TEST(Doctor, NamesTheRankThatFailed) {
  RunEvidence evidence = made_up_run({{.rank = 0, .ago = 60}, {.rank = 1, .ago = 60}});
  evidence.life.status = status_of(1, "out of memory", 1);
  const Verdict verdict = diagnose(evidence);
  EXPECT_EQ(verdict.outcome, Outcome::failed);
  EXPECT_EQ(verdict.rank, 1);
  expect_words(verdict.sentence, {"failed on rank 1", "step 37", "out of memory"});
}

TEST(Doctor, TellsWhomAFailedRunWaitedFor) {
  RunEvidence evidence = made_up_run({{.rank = 0, .ago = 60, .threads = {idle(), waiting_for(1, 600)}},
                                      {.rank = 1, .ago = 60, .threads = {idle(), waiting_for(2, 600)}},
                                      {.rank = 2, .ago = 60,
                                       .threads = {{.activity = Activity::input, .what = "waiting for samples", .seconds = 601},
                                                   {.name = "loader 0", .activity = Activity::input,
                                                    .what = "train-00002-of-00004.h5", .seconds = 602}}}});
  evidence.life.status = status_of(1, "rank 0 waited 600 s for rank 1 in gradient bucket 3 of step 37", 0);
  const Verdict verdict = diagnose(evidence);
  EXPECT_EQ(verdict.outcome, Outcome::failed);
  expect_words(details_of(verdict), {"ranks 0 and 1 waited for rank 2 (process 4702 on host n1)",
                                     "loader 0 is reading train-00002-of-00004.h5"});
}

TEST(Doctor, TellsWhoFellSilentBeforeTheMessageCame) {
  RunEvidence evidence = made_up_run({{.rank = 0, .ago = 60}, {.rank = 1, .ago = 72.5}, {.rank = 2, .ago = 60.01}});
  evidence.life.status = status_of(1, "rank 1 is silent", 0);
  expect_words(details_of(diagnose(evidence)), {"rank 1 (process 4701 on host n1) fell silent first, in step 37", "12 s later"});
}

// --- crashes

TEST(Doctor, NamesTheRankThatDiedFirst) {
  const Verdict verdict = diagnose(made_up_run({{.rank = 0, .ago = 100, .threads = {idle(), waiting_for(2, 1.1)}},
                                                {.rank = 1, .ago = 100.02, .threads = {idle(), waiting_for(0, 1.0)}},
                                                {.rank = 2, .ago = 101.2},
                                                {.rank = 3, .ago = 99.9}}));
  EXPECT_EQ(verdict.outcome, Outcome::crashed);
  EXPECT_EQ(verdict.rank, 2);
  expect_words(verdict.sentence, {"crashed: rank 2 (process 4702 on host n1) died first, in step 37",
                                  "2025-01-31 11:58:18.800 UTC", "computing conv1 conv"});
  expect_words(details_of(verdict), {"others ended 1.30 s later", "kill -9", "newest checkpoint: step 30"});
  expect_words(verdict.next, {"mpirun -n 4 ", "--resume=latest"});
}

TEST(Doctor, DoesNotNameARankWhereAllEndedTogether) {
  const Verdict verdict = diagnose(made_up_run({{.rank = 0, .ago = 100}, {.rank = 1, .ago = 100.05}, {.rank = 2, .ago = 100.1}}));
  EXPECT_EQ(verdict.outcome, Outcome::crashed);
  EXPECT_EQ(verdict.rank, -1);
  expect_words(verdict.sentence, {"all 3 ranks ended together", "host n1, the job or mpirun was killed"});
}

TEST(Doctor, NamesAHostThatWasLost) {
  const Verdict verdict = diagnose(made_up_run({{.rank = 0, .ago = 100, .host = "n1"},
                                                {.rank = 1, .ago = 100.03, .host = "n1"},
                                                {.rank = 2, .ago = 102.1, .host = "n2"},
                                                {.rank = 3, .ago = 102.0, .host = "n2"}}));
  EXPECT_EQ(verdict.rank, -1);
  expect_words(verdict.sentence, {"host n2 was lost: ranks 2 and 3 died first, together"});
}

TEST(Doctor, TellsADeathFromALongSilence) {
  const Verdict verdict = diagnose(made_up_run({{.rank = 0, .ago = 100}, {.rank = 1, .ago = 145}}));
  EXPECT_EQ(verdict.rank, 1);
  expect_words(verdict.sentence, {"rank 1", "fell silent first"});
  expect_words(details_of(verdict), {"SIGSTOP"});
}

TEST(Doctor, SaysThatACheckpointWasBeingWritten) {
  const Thread writing{.name = "saver", .activity = Activity::checkpoint, .what = "writing step-00000036.h5", .seconds = 0.4};
  const Verdict verdict = diagnose(made_up_run({{.rank = 0, .ago = 100, .threads = {Thread{}, writing}}, {.rank = 1, .ago = 101}}));
  EXPECT_EQ(verdict.rank, 1);
  expect_words(verdict.sentence, {"rank 1", "; rank 0 was writing step-00000036.h5"});
  expect_words(details_of(verdict), {"while a checkpoint was written", "newest checkpoint: step 30"});
  const Verdict alone = diagnose(made_up_run({{.rank = 0, .ago = 100, .threads = {{.activity = Activity::checkpoint,
                                                                                 .what = "syncing step-00000036.h5"}}}}));
  expect_words(alone.sentence, {"rank 0", "died, in step 37", "while it was syncing step-00000036.h5"});
}

TEST(Doctor, KnowsARankThatDiedAfterOthersHadLeft) {
  const Verdict verdict = diagnose(made_up_run({{.rank = 0, .ago = 100, .finished = true}, {.rank = 1, .ago = 99}}));
  EXPECT_EQ(verdict.rank, 1);
  expect_words(details_of(verdict), {"rank 0 had left in order"});
  const Verdict all = diagnose(made_up_run(finished_ranks()));
  EXPECT_EQ(all.outcome, Outcome::crashed);
  expect_words(all.sentence, {"every rank left in order", "no status.json"});
}

TEST(Doctor, TellsARunThatNeverBeganFromOneThatDiedAtItsStart) {
  RunEvidence evidence = made_up_run({});
  expect_words(diagnose(evidence).sentence, {"crashed: life 1, begun at 2025-01-31T11:45:00Z", "died at its start"});
  evidence.life.mark = {};
  expect_words(diagnose(evidence).sentence, {"crashed: no status.json", "no flight recorder files"});
  evidence.checkpoints.clear();
  evidence.has_config = false;
  EXPECT_EQ(diagnose(evidence).outcome, Outcome::never_began);
}

// --- runs that go on

RunEvidence going_on(const std::vector<RankNote>& ranks) {
  RunEvidence evidence = made_up_run(ranks);
  evidence.lock = {.state = LockState::held, .holder = "process 4700 on host n1"};
  return evidence;
}

TEST(Doctor, SaysThatARunGoesOn) {
  const Verdict verdict = diagnose(going_on({{.rank = 0, .ago = 0.01, .step = 38}, {.rank = 1, .ago = 0.02, .threads = {idle(), waiting_for(0, 0.3)}}}));
  EXPECT_EQ(verdict.outcome, Outcome::running);
  EXPECT_EQ(verdict.sentence, "running: 2 ranks, step 38 under way");
  EXPECT_EQ(verdict.rank, -1);
}

TEST(Doctor, ResolvesChainsOfWaitingToTheRankThatAllWaitFor) {
  const Verdict verdict = diagnose(going_on({{.rank = 0, .ago = 0.01, .threads = {idle(), waiting_for(1, 41)}},
                                             {.rank = 1, .ago = 0.01, .threads = {idle(), waiting_for(3, 40)}},
                                             {.rank = 2, .ago = 0.01, .threads = {idle(), waiting_for(0, 41.5)}},
                                             {.rank = 3, .ago = 0.01,
                                              .threads = {{.activity = Activity::update, .what = "conv1 weight_update", .seconds = 42},
                                                          waiting_for(0, 50)}}}));
  EXPECT_EQ(verdict.outcome, Outcome::hanging);
  EXPECT_EQ(verdict.rank, 3);
  expect_words(verdict.sentence, {"running, but ranks 0 to 2 wait for rank 3 (process 4703 on host n1) for 42 s",
                                  "has been updating: conv1 weight_update for 42 s, in step 37"});
}

TEST(Doctor, KnowsRanksThatWaitForEachOther) {
  const Verdict verdict = diagnose(going_on({{.rank = 0, .ago = 0.01, .threads = {waiting_for(1, 20, "main")}},
                                             {.rank = 1, .ago = 0.01, .threads = {waiting_for(0, 21, "main")}}}));
  EXPECT_EQ(verdict.outcome, Outcome::hanging);
  EXPECT_EQ(verdict.rank, -1);
  expect_words(verdict.sentence, {"ranks 0 and 1 wait for each other (21 s so far)"});
}

TEST(Doctor, NamesASilentRank) {
  const Verdict verdict = diagnose(going_on({{.rank = 0, .ago = 0.01}, {.rank = 1, .ago = 14}}));
  EXPECT_EQ(verdict.outcome, Outcome::hanging);
  EXPECT_EQ(verdict.rank, 1);
  expect_words(verdict.sentence, {"rank 1 is silent", "2025-01-31 11:59:46.000 UTC in step 37", "computing conv1 conv"});
  expect_words(verdict.next, {"process 4701 on host n1"});
}

TEST(Doctor, KnowsAStoppedProcessAtOnce) {
  RunEvidence evidence = going_on({{.rank = 0, .ago = 0.01}, {.rank = 1, .ago = 0.5}});
  evidence.process_state = {{0, 'S'}, {1, 'T'}};
  const Verdict verdict = diagnose(evidence);
  EXPECT_EQ(verdict.rank, 1);
  expect_words(verdict.sentence, {"rank 1 is stopped (SIGSTOP"});
  expect_words(verdict.next, {"kill -CONT 4701", "host n1"});
}

TEST(Doctor, DoesNotBlameOneRankWhereAllAreSilent) {
  const Verdict verdict = diagnose(going_on({{.rank = 0, .ago = 300}, {.rank = 1, .ago = 300}}));
  EXPECT_EQ(verdict.outcome, Outcome::hanging);
  EXPECT_EQ(verdict.rank, -1);
  expect_words(verdict.sentence, {"no sign of life from any of 2 ranks since 2025-01-31 11:55:00.000"});
}

TEST(Doctor, GoesByTheFilesWhereTheFileSystemHasNoLocks) {
  RunEvidence evidence = made_up_run({{.rank = 0, .ago = 0.1}, {.rank = 1, .ago = 0.1}});
  evidence.lock.state = LockState::unknown;
  EXPECT_EQ(diagnose(evidence).outcome, Outcome::running);
  evidence = made_up_run({{.rank = 0, .ago = 100}, {.rank = 1, .ago = 101.5}});
  evidence.lock.state = LockState::unknown;
  EXPECT_EQ(diagnose(evidence).outcome, Outcome::crashed);
}

TEST(Doctor, KnowsARunThatIsStartingOrEnding) {
  expect_words(diagnose(going_on({})).sentence, {"process 4700 on host n1 holds the run's lock", "no flight recorder files yet"});
  RunEvidence evidence = going_on(finished_ranks());
  expect_words(diagnose(evidence).sentence, {"it is ending"});
  evidence.life.status = status_of(0, "done");
  EXPECT_EQ(diagnose(evidence).outcome, Outcome::done);
  expect_words(details_of(diagnose(evidence)), {"still holds the run's lock"});
}

// --- what goes with every verdict

TEST(Doctor, TakesABusyWorkerForWhatARankDoes) {
  const RankStanding standing = standing_of(ring_of({.rank = 0,
                                                     .threads = {idle("waiting for workers", 30),
                                                                 {.name = "worker 1", .what = "conv2 conv", .seconds = 29},
                                                                 {.name = "loader 0", .activity = Activity::input,
                                                                  .what = "train-00000-of-00004.h5", .seconds = 90},
                                                                 waiting_for(1, 60)}},
                                                    2));
  EXPECT_EQ(standing.thread, "worker 1");
  EXPECT_EQ(standing.doing, "computing conv2 conv");
  EXPECT_EQ(standing.waits_for, -1);
}

TEST(Doctor, ListsRanksInFewWords) {
  EXPECT_EQ(list_of_ranks({}), "");
  EXPECT_EQ(list_of_ranks({4}), "4");
  EXPECT_EQ(list_of_ranks({3, 0}), "0 and 3");
  EXPECT_EQ(list_of_ranks({3, 1, 0}), "0, 1 and 3");
  EXPECT_EQ(list_of_ranks({0, 1, 2, 3, 7, 9, 10, 11}), "0 to 3, 7 and 9 to 11");
}

TEST(Doctor, GivesALineForEachEarlierLife) {
  RunEvidence evidence = made_up_run(finished_ranks());
  evidence.life.status = status_of(0, "done");
  evidence.earlier.resize(2);
  evidence.earlier[0].mark = {.life = 1, .began = "2025-01-31T10:00:00Z", .step = 0};
  evidence.earlier[0].rings = {ring_of({.rank = 0, .ago = 7000}, 2), ring_of({.rank = 1, .ago = 7001}, 2)};
  evidence.earlier[1].mark = {.life = 2, .began = "2025-01-31T11:00:00Z", .step = 20};
  evidence.earlier[1].status = status_of(75, "stopped");
  const Verdict verdict = diagnose(evidence);
  ASSERT_EQ(verdict.lives.size(), 2U);
  expect_words(verdict.lives[0], {"life 1, begun 2025-01-31T10:00:00Z from step 0: crashed: rank 1"});
  expect_words(verdict.lives[1], {"life 2, begun 2025-01-31T11:00:00Z from step 20: stopped by a signal after step 37"});
}

TEST(Doctor, NamesDamagedCheckpointsOnlyWhereItLooked) {
  RunEvidence evidence = made_up_run(finished_ranks());
  evidence.checkpoints = {{.step = 30, .looked_at = true, .good = false}, {.step = 20, .looked_at = true, .good = true}};
  expect_words(details_of(diagnose(evidence)), {"checkpoint of step 30 is damaged", "newest checkpoint: step 20 (verified)"});
  evidence.checkpoints = {{.step = 30, .looked_at = true, .good = false}};
  expect_words(details_of(diagnose(evidence)), {"step 30 is damaged", "no checkpoint"});
}

TEST(Doctor, SendsSlurmUsersToSbatch) {
  RunEvidence evidence = made_up_run({{.rank = 0, .ago = 60}, {.rank = 1, .ago = 61}});
  evidence.jobs = {"2025-01-31T11:58:20Z job=17 life=2 begin step=30"};
  expect_words(diagnose(evidence).next, {"sbatch"});
  expect_words(details_of(diagnose(evidence)), {"job=17 life=2"});
}

TEST(Doctor, WritesOneLineASentenceAndValidJson) {
  RunEvidence evidence = made_up_run({{.rank = 0, .ago = 60, .step = -1}});
  evidence.life.status = status_of(1, "first line\nsecond \x1b[2J line, bytes \xff\xfe");
  const Verdict verdict = diagnose(evidence);
  const std::string text = to_text(verdict);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  expect_words(text.substr(0, text.find('\n')), {"failed", "first line second"});
  const auto json = nlohmann::json::parse(to_json(verdict));
  EXPECT_EQ(json["outcome"], "failed");
  EXPECT_TRUE(json["rank"].is_null());
  EXPECT_TRUE(json["ranks"][0]["step"].is_null());
  EXPECT_EQ(json["ranks"][0]["pid"], 4700);
  EXPECT_EQ(json["ranks"][0]["last_seen"], "2025-01-31 11:59:00.000");
}

TEST(Doctor, TellsDurationsAndDatesForPeople) {
  EXPECT_EQ(duration_text(0.018), "0.02 s");
  EXPECT_EQ(duration_text(41.4), "41 s");
  EXPECT_EQ(duration_text(1800), "30 min");
  EXPECT_EQ(duration_text(8000), "2 h 13 min");
  EXPECT_EQ(date_text(kNow + 1'500'000), "2025-01-31 12:00:00.001");
  for (std::int64_t odd : {std::int64_t{-1}, INT64_MIN, INT64_MAX}) EXPECT_FALSE(date_text(odd).empty());
}

}  // namespace
}  // namespace convoy
