#include "io/run_folder.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "io/checkpoint_samples.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using test::content_of;
using test::message_of;
using test::ScratchFolder;
using test::write_content;

TEST(RunName, RefusesWhatWouldLeaveTheFolder) {
  for (const char* name : {"", ".", "..", "../x", "a/b", "/abs", "a\\b", "-x", ".hidden", "a b", "a\nb", "a\tb", "a*"})
    EXPECT_THROW(check_run_name(name), UsageError) << name;
  EXPECT_THROW(check_run_name(std::string(201, 'a')), UsageError);
  EXPECT_THROW(check_run_name(std::string("a\0b", 3)), UsageError);
  EXPECT_NO_THROW(check_run_name(std::string(200, 'a')));
  for (const char* name : {"a", "lenet-5", "same-4", "run_2.1", "lr=0.1,wd=5e-4"})
    EXPECT_NO_THROW(check_run_name(name)) << name;
}

TEST(RunName, DefaultIsValidAndFree) {
  const ScratchFolder scratch;
  std::set<std::string> names;
  for (int i = 0; i < 3; ++i) {
    const std::string name = default_run_name(scratch.path(), "my net/5");
    check_run_name(name);
    EXPECT_TRUE(name.starts_with("my-net-5-20")) << name;
    EXPECT_TRUE(names.insert(name).second) << name;
    fs::create_directory(scratch / name);
  }
  EXPECT_NO_THROW(check_run_name(default_run_name(scratch.path(), "")));
  EXPECT_NO_THROW(check_run_name(default_run_name(scratch.path(), "../..")));
  EXPECT_NO_THROW(check_run_name(default_run_name(scratch.path(), std::string(500, 'x'))));
}

TEST(RunFolder, MakesItsFolders) {
  const ScratchFolder scratch;
  const RunFolder run(scratch / "runs", "a");
  EXPECT_EQ(run.path(), scratch / "runs/a");
  EXPECT_TRUE(fs::is_directory(scratch / "runs/a/checkpoints"));
  EXPECT_TRUE(run.warnings().empty());
}

TEST(RunFolder, NamesTheFolderThatCannotBeMade) {
  const ScratchFolder scratch;
  write_content(scratch / "file", "");
  const std::string message = message_of<LibraryError>([&] { RunFolder(scratch / "file", "a"); });
  EXPECT_NE(message.find("file/a: Not a directory"), std::string::npos) << message;
}

TEST(RunFolder, KeepsEveryConfig) {
  const ScratchFolder scratch;
  RunFolder run(scratch.path(), "a");
  for (const char* text : {"one", "one", "two", "three"}) run.write_config(text);
  EXPECT_EQ(content_of(scratch / "a/config.cfg"), "three");
  EXPECT_EQ(content_of(scratch / "a/config-1.cfg"), "one");
  EXPECT_EQ(content_of(scratch / "a/config-2.cfg"), "two");
  EXPECT_FALSE(fs::exists(scratch / "a/config-3.cfg"));
}

TEST(Metrics, AreOneLineEach) {
  const ScratchFolder scratch;
  RunFolder run(scratch.path(), "a");
  run.start_fresh();
  run.append_metrics(R"({"step": 1, "loss": 2.5})");
  EXPECT_EQ(content_of(scratch / "a/metrics.jsonl"), "{\"step\": 1, \"loss\": 2.5}\n");
  for (const char* bad : {"", "no json", "[1]", "{\"a\":\n1}", "{\"a\": NaN}", "{} {}"})
    EXPECT_THROW(run.append_metrics(bad), UsageError) << bad;
  run.append_metrics(R"({"step": 2})");
  EXPECT_EQ(content_of(scratch / "a/metrics.jsonl"), "{\"step\": 1, \"loss\": 2.5}\n{\"step\": 2}\n");
}

TEST(Metrics, AreCutOnResumeSoThatNothingComesTwice) {
  const ScratchFolder scratch;
  {
    RunFolder run(scratch.path(), "a");
    run.start_fresh();
    run.append_metrics(R"({"event": "start"})");
    for (int step = 1; step <= 5; ++step) run.append_metrics(R"({"step": )" + std::to_string(step) + "}");
  }
  std::ofstream(scratch / "a/metrics.jsonl", std::ios::app) << R"({"step": 3, "torn)";
  RunFolder run(scratch.path(), "a");
  run.continue_from(3);
  run.append_metrics(R"({"step": 4, "again": true})");
  EXPECT_EQ(content_of(scratch / "a/metrics.jsonl"),
            "{\"event\": \"start\"}\n{\"step\": 1}\n{\"step\": 2}\n{\"step\": 3}\n{\"step\": 4, \"again\": true}\n");
}

TEST(RunFolder, AFreshStartIsRefusedWhereCheckpointsAre) {
  const ScratchFolder scratch;
  RunFolder run(scratch.path(), "a");
  run.append_metrics(R"({"step": 1})");
  run.checkpoints().save(test::sample_checkpoint(1), 1, false);
  const std::string message = message_of<UsageError>([&] { run.start_fresh(); });
  EXPECT_NE(message.find("--resume=latest"), std::string::npos) << message;
  EXPECT_EQ(content_of(scratch / "a/metrics.jsonl"), "{\"step\": 1}\n");
}

TEST(RunFolder, AFreshStartSetsDamagedCheckpointsAside) {
  const ScratchFolder scratch;
  RunFolder run(scratch.path(), "a");
  write_content(run.checkpoints().file_for(7), "damaged");
  EXPECT_EQ(run.start_fresh().size(), 1u);
  EXPECT_TRUE(run.checkpoints().steps().empty());
  EXPECT_TRUE(fs::exists(run.path() / "checkpoints/step-00000007.h5.set-aside"));
}

TEST(RunFolder, AFreshStartBeginsWithEmptyMetrics) {
  const ScratchFolder scratch;
  RunFolder run(scratch.path(), "a");
  run.append_metrics(R"({"step": 1})");
  run.start_fresh();
  EXPECT_EQ(content_of(scratch / "a/metrics.jsonl"), "");
}

TEST(RunFolder, ContinuingSetsLaterCheckpointsAside) {
  const ScratchFolder scratch;
  RunFolder run(scratch.path(), "a");
  for (std::int64_t step : {1, 2, 3}) run.checkpoints().save(test::sample_checkpoint(step), 9, false);
  EXPECT_EQ(run.continue_from(2).size(), 1u);
  EXPECT_EQ(run.checkpoints().steps(), (std::vector<std::int64_t>{2, 1}));
}

TEST(RunStatus, IsWrittenAtTheEndAndRemovedAtTheStart) {
  const ScratchFolder scratch;
  RunFolder run(scratch.path(), "a");
  EXPECT_FALSE(read_status(run.path()));
  run.write_status({.status = 3, .reason = "train-00001-of-00002.h5, sample 4: damaged", .step = 7, .epoch = 0.5,
                    .checkpoint = "checkpoints/step-00000005.h5", .rank = 2, .time = ""});
  const auto status = read_status(run.path());
  ASSERT_TRUE(status);
  EXPECT_EQ(status->status, 3);
  EXPECT_EQ(status->reason, "train-00001-of-00002.h5, sample 4: damaged");
  EXPECT_EQ(status->step, 7);
  EXPECT_EQ(status->epoch, 0.5);
  EXPECT_EQ(status->checkpoint, "checkpoints/step-00000005.h5");
  EXPECT_EQ(status->rank, 2);
  EXPECT_EQ(status->time.size(), std::string("2025-01-31T12:00:00Z").size());
  run.continue_from(5);
  EXPECT_FALSE(read_status(run.path()));
  run.write_status({});
  run.start_fresh();
  EXPECT_FALSE(read_status(run.path()));
}

TEST(RunStatus, SaysNullWhereThereIsNothingToSay) {
  const ScratchFolder scratch;
  RunFolder run(scratch.path(), "a");
  run.write_status({.status = 0, .reason = "bytes \xff\xfe", .step = 1, .epoch = 1, .checkpoint = "", .rank = -1, .time = ""});
  const nlohmann::json json = nlohmann::json::parse(content_of(scratch / "a/status.json"));
  EXPECT_TRUE(json.at("rank").is_null());
  EXPECT_TRUE(json.at("checkpoint").is_null());
  EXPECT_EQ(read_status(run.path())->rank, -1);
  write_content(scratch / "a/status.json", "{");
  EXPECT_THROW(read_status(run.path()), DataError);
}

TEST(RunFolder, NoticesThatItWasMovedAway) {
  const ScratchFolder scratch;
  const RunFolder folder(scratch.path(), "a");
  EXPECT_NO_THROW(folder.check_still_there());
  fs::rename(scratch.path() / "a", scratch.path() / "b");
  EXPECT_THROW(folder.check_still_there(), LibraryError);
  const RunFolder another(scratch.path(), "a");
  EXPECT_THROW(folder.check_still_there(), LibraryError);
  EXPECT_NO_THROW(another.check_still_there());
}

TEST(RunFolder, KeepsRoomForItsStatus) {
  const ScratchFolder scratch;
  RunFolder folder(scratch.path(), "a");
  EXPECT_GT(fs::file_size(folder.path() / ".reserve"), 4096u);
}

TEST(RunStatus, SaysWhetherAnotherLifeMayGetFurther) {
  const ScratchFolder scratch;
  const std::pair<RunStatus, bool> cases[] = {{{.status = 1}, true}, {{.status = 1, .again = false}, false},
                                              {{.status = 75}, true}, {{.status = 0}, false}, {{.status = 3}, false}};
  for (const auto& [status, again] : cases) {
    write_status(scratch.path(), status);
    EXPECT_EQ(read_status(scratch.path())->again, again) << status.status;
  }
}

TEST(RunLock, IsNotHeldUpByAPipe) {
  const ScratchFolder scratch;
  ASSERT_EQ(mkfifo((scratch.path() / ".lock").c_str(), 0666), 0);
  EXPECT_NE(look_at_lock(scratch.path()).state, LockState::held);
}

TEST(RunLock, RefusesASecondRunAndNamesTheFirst) {
  const ScratchFolder scratch;
  const RunFolder first(scratch.path(), "a");
  const std::string message = message_of<UsageError>([&] { RunFolder(scratch.path(), "a"); });
  EXPECT_NE(message.find("process " + std::to_string(getpid()) + " on host "), std::string::npos) << message;
  EXPECT_NO_THROW(RunFolder(scratch.path(), "b"));
}

TEST(RunLock, IsFreeAfterTheRun) {
  const ScratchFolder scratch;
  { const RunFolder run(scratch.path(), "a"); }
  EXPECT_NO_THROW(RunFolder(scratch.path(), "a"));
}

TEST(RunLock, DiesWithItsProcess) {
  const ScratchFolder scratch;
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    const RunFolder run(scratch.path(), "a");
    static_cast<void>(!write(ready[1], "x", 1));
    for (;;) pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  const std::string message = message_of<UsageError>([&] { RunFolder(scratch.path(), "a"); });
  EXPECT_NE(message.find("process " + std::to_string(child)), std::string::npos) << message;
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_NO_THROW(RunFolder(scratch.path(), "a"));
  close(ready[0]);
  close(ready[1]);
}

TEST(RunStatus, NumbersThatAStatusCannotHoldAreRefused) {
  const ScratchFolder scratch;
  for (const char* number : {"1e300", "256", "-1", "99999999999999999999", "\"0\"", "1.5"}) {
    write_content(scratch / "status.json", std::string("{\"status\": ") + number +
                                               R"(, "reason": "", "step": 1, "epoch": 1, "checkpoint": null, "rank": null, "time": ""})");
    EXPECT_NE(message_of<DataError>([&] { read_status(scratch.path()); }).find("\"status\" is no whole number"), std::string::npos) << number;
  }
}

}  // namespace
}  // namespace convoy
