// Asynchronous runs as a user starts them: rounds have the bits of mode sync, a log repeats its run, and epochs are whole whoever
// dies.
#include <gtest/gtest.h>

#include <fstream>

#include "training_fixture.h"

namespace convoy {
namespace {

const std::string kMlp =
    "--model.name=mlp --train.batch=40 --virtual-workers=8 --train.epochs=3 --data.validation=0.1 --data.pad=2 --optim.rate=0.002 "
    "--optim.schedule=cosine --device.threads=1";
const std::string kNormed =  // batch norm, whose statistics travel with the pushes
    "--model.name=resnet-20 --train.batch=16 --virtual-workers=8 --train.epochs=1 --train.steps=4 --data.crop=12 --data.pad=1 "
    "--data.flip --optim.rate=0.05 --optim.decay=1e-4 --optim.average=ema --device.threads=1";

class Async : public Training {
 protected:
  static Outcome run(int ranks, const std::string& name, const std::string& options, const std::string& mpirun_options = "") {
    return run_command(std::string(CONVOY_MPIRUN) + " " + mpirun_options + " -n " + std::to_string(ranks) + " " + command(name, options));
  }
  static std::vector<json> records(const std::string& run, const std::string& kind) {
    std::vector<json> found;
    std::ifstream lines(run_folder(run) / "metrics.jsonl");
    for (std::string line; std::getline(lines, line);)
      if (json record = json::parse(line); record["kind"] == kind) found.push_back(std::move(record));
    return found;
  }
};

TEST_F(Async, RoundsHaveTheBitsOfModeSyncWhoeverServesAndWorks) {
  for (const auto& [name, options] : {std::pair{"mlp", kMlp}, {"resnet", kNormed}}) {
    ASSERT_EQ(train(2, std::string(name) + "-sync", options).status, 0);
    const std::string expected = digest(std::string(name) + "-sync");
    for (const auto& [ranks, more] : {std::pair{1, ""}, {2, "--servers=1"}, {4, "--servers=2"}, {3, "--servers=colocated"}}) {
      const std::string run_name = std::string(name) + std::to_string(ranks);
      const Outcome outcome = run(ranks, run_name, options + " --mode=async --max-clock-gap=0 " + more);
      ASSERT_EQ(outcome.status, 0) << outcome.err;
      EXPECT_EQ(digest(run_name), expected) << name << " on " << ranks << " ranks";
    }
  }
}

TEST_F(Async, RoundsAndModeSyncGoOnFromEachOthersCheckpoints) {
  ASSERT_EQ(train(2, "whole", kMlp).status, 0);
  ASSERT_EQ(train(2, "mixed", with(kMlp, "--train.steps=11")).status, 0);
  ASSERT_EQ(run(3, "mixed", with(kMlp, "--train.steps=20 --mode=async --max-clock-gap=0 --servers=1 --resume=latest")).status, 0);
  const Outcome last = train(1, "mixed", with(kMlp, "--resume=latest"));
  ASSERT_EQ(last.status, 0) << last.err;
  EXPECT_EQ(digest("mixed"), digest("whole"));
}

TEST_F(Async, ALogRepeatsItsRunBitByBit) {
  const std::pair<std::string, std::string> cases[] = {
      {"--servers=1", "--mode=async"},
      {"--servers=2", "--mode=async --delay-compensation=0.04 --staleness-scaling=inverse --pull=fresh"},
      {"--servers=1", "--mode=async --fetch-every=3 --push-every=2 --optim.name=adagrad --optim.average=polyak"},
      {"--servers=1", "--mode=async --max-clock-gap=1"},
      {"--servers=1", "--backup-workers=2"}};
  int number = 0;
  for (const auto& [servers, options] : cases) {
    const std::string name = "recorded" + std::to_string(number++), again = name + "-again";
    const Outcome recorded = run(4, name, kMlp + " " + options + " " + servers);
    ASSERT_EQ(recorded.status, 0) << recorded.err;
    const Outcome repeated =
        run(1, again, kMlp + " " + options + " --replay=" + (run_folder(name) / "pushes.jsonl").string());
    ASSERT_EQ(repeated.status, 0) << repeated.err;
    EXPECT_EQ(digest(again), digest(name)) << options;
  }
}

TEST_F(Async, GoesOnWithAnotherNumberOfWorkersAndServers) {
  ASSERT_EQ(run(4, "more", with(kMlp, "--mode=async --servers=1 --train.steps=17")).status, 0);
  const Outcome fewer = run(3, "more", with(kMlp, "--mode=async --servers=2 --resume=latest"));
  ASSERT_EQ(fewer.status, 0) << fewer.err;
  EXPECT_EQ(status("more")["status"], 0);
  EXPECT_EQ(shown("more")["updates"], 40 * 8);  // ceil(3 * 530 / 40) steps
  // The log spans both lives.
  const Outcome repeated = run(1, "more-again", kMlp + " --mode=async --replay=" + (run_folder("more") / "pushes.jsonl").string());
  ASSERT_EQ(repeated.status, 0) << repeated.err;
  EXPECT_EQ(digest("more-again"), digest("more"));
}

TEST_F(Async, LogsStalenessOfEveryWorker) {
  ASSERT_EQ(run(3, "stale", kMlp + " --mode=async --servers=1").status, 0);
  const auto logged = records("stale", "staleness");
  ASSERT_EQ(logged.size(), 3u);  // epochs
  std::int64_t pushes = 0;
  for (const json& worker : logged.back()["workers"])
    for (const json& bin : worker["histogram"]) pushes += bin[1].get<std::int64_t>();
  EXPECT_EQ(pushes, 40 * 8);
}

TEST_F(Async, DropsBackupMicroBatchesAndEntersThemInTheLedger) {
  ASSERT_EQ(run(3, "backup", kMlp + " --servers=1 --backup-workers=2").status, 0);
  std::int64_t epochs = 0;
  for (const json& ledger : records("backup", "ledger")) {
    ++epochs;
    EXPECT_GT(ledger["dropped"].get<std::int64_t>(), 0);
    EXPECT_EQ(ledger["dropped"].get<std::int64_t>() + ledger["samples"].get<std::int64_t>(), 530);
  }
  EXPECT_EQ(epochs, 3);
}

TEST_F(Async, LeavesOutPushesThatAreNotFiniteWhereThatIsWanted) {
  const Outcome stopped = run(2, "nan-stop", kMlp + " --mode=async --servers=1 --inject=nan:sample=7");
  EXPECT_EQ(stopped.status, 1);
  EXPECT_NE(stopped.err.find("is not finite"), std::string::npos) << stopped.err;
  EXPECT_EQ(status("nan-stop")["again"], false) << "another life would meet the same";
  const Outcome skipped = run(2, "nan-skip", kMlp + " --mode=async --servers=1 --on-nan=skip --inject=nan:sample=7");
  ASSERT_EQ(skipped.status, 0) << skipped.err;
  EXPECT_NE(status("nan-skip")["reason"].get<std::string>().find("pushes were not finite"), std::string::npos);
  EXPECT_GE(records("nan-skip", "skipped").size(), 2u);  // once an epoch
}

TEST_F(Async, StopsByASignalWithACheckpointAndGoesOn) {
  const Outcome stopped = run_command("timeout -s USR2 3 " + std::string(CONVOY_MPIRUN) + " -n 3 " +
                                      command("stopped", with(kMlp, "--mode=async --servers=1 --train.epochs=100 --inject=slow:compute=20ms,rank=1;slow:compute=20ms,rank=2")));
  EXPECT_EQ(status("stopped")["status"], 75) << stopped.err;
  const std::int64_t step = status("stopped")["step"];
  EXPECT_GT(step, 0);
  EXPECT_LT(step, 1353);
}

TEST_F(Async, SaysWhatOnlyAStartCanTell) {
  const Outcome alone = run(1, "wrong", kMlp + " --mode=async --servers=1");
  EXPECT_EQ(alone.status, 2);
  EXPECT_NE(alone.err.find("at least 2 ranks"), std::string::npos) << alone.err;
  ASSERT_EQ(run(2, "log", kMlp + " --mode=async --servers=1").status, 0);
  const std::string replay = " --mode=async --servers=1 --replay=" + (run_folder("log") / "pushes.jsonl").string();
  const Outcome other = run(1, "log-other", with(kMlp, "--optim.rate=0.003") + replay);
  EXPECT_EQ(other.status, 2);
  EXPECT_NE(other.err.find("schedule"), std::string::npos) << other.err;
  const Outcome shorter = run(1, "log-short", with(kMlp, "--train.steps=30") + replay);
  EXPECT_EQ(shorter.status, 2);
  EXPECT_NE(shorter.err.find("of step 31 was applied, but this run has 30 steps"), std::string::npos) << shorter.err;
  EXPECT_EQ(run(1, "log-again", kMlp + replay).status, 0) << "one rank serves, whatever the run had";
  const Outcome no_log = run(1, "wrong", kMlp + " --mode=async --replay=/not/there");
  EXPECT_EQ(no_log.status, 3);
  EXPECT_NE(no_log.err.find("/not/there: cannot be read"), std::string::npos) << no_log.err;
}

TEST_F(Async, TrainsOnWithoutAWorkerThatIsKilled) {
  const Outcome outcome = run(4, "killed", kMlp + " --mode=async --servers=1 --inject=kill:rank=2@step=12", "--enable-recovery");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(status("killed")["status"], 0);
  EXPECT_NE(status("killed")["reason"].get<std::string>().find("rank 2 was left out"), std::string::npos);
  EXPECT_EQ(shown("killed")["updates"], 40 * 8) << "every micro-batch once";
  ASSERT_EQ(records("killed", "lost").size(), 1u);
  const Outcome repeated = run(1, "killed-again", kMlp + " --mode=async --replay=" + (run_folder("killed") / "pushes.jsonl").string());
  ASSERT_EQ(repeated.status, 0) << repeated.err;
  EXPECT_EQ(digest("killed-again"), digest("killed"));
}

TEST_F(Async, InRoundsTrainsOnWithoutAWorkerThatIsKilledToTheBitsOfModeSync) {
  ASSERT_EQ(train(1, "calm", kMlp).status, 0);
  for (int turn = 0; turn < 3; ++turn) {
    const std::string name = "round-killed" + std::to_string(turn);
    const Outcome outcome = run(4, name, kMlp + " --mode=async --max-clock-gap=0 --servers=1 --inject=kill:rank=2@step=" +
                                             std::to_string(9 + turn), "--enable-recovery");
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(digest(name), digest("calm"));
  }
}

TEST_F(Async, TellsAFullDiskAndTriesAgain) {
  const Outcome outcome = run(2, "full", kMlp + " --mode=async --servers=1 --checkpoint.every-steps=10 --inject=enospc@checkpoint=1");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("No space left on device"), std::string::npos) << outcome.err;
}

TEST_F(Async, EndsWithoutAServerAndGoesOnFromItsCheckpoint) {
  for (const int server : {0, 1}) {
    const std::string name = "server" + std::to_string(server);
    const std::string options = kMlp + " --mode=async --servers=2 --checkpoint.every-steps=5";
    run(4, name, options + " --inject=kill:rank=" + std::to_string(server) + "@step=12", "--enable-recovery");
    EXPECT_EQ(status(name)["status"], 1);
    EXPECT_EQ(status(name)["rank"], server);
    const Outcome resumed = run(3, name, options + " --resume=latest");
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_EQ(shown(name)["updates"], 40 * 8);
  }
}

}  // namespace
}  // namespace convoy
