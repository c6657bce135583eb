// convoy train --mode=ensemble, and convoy evaluate of what it leaves.
#include "ensemble_fixture.h"

namespace convoy {
namespace {

class EnsembleTraining : public Ensembles {
 protected:
  static void SetUpTestSuite() {
    Ensembles::SetUpTestSuite();
    const Outcome made = ensemble(
        2, "three", std::string(kThree) + " '--member-overrides=3:model.hidden=30; 2:optim.rate=0.003'");
    ASSERT_EQ(made.status, 0) << made.err;
  }
  static Outcome evaluate(const std::string& paths, const std::string& options, int ranks = 1) {
    return run_command(std::string(CONVOY_MPIRUN) + " -n " + std::to_string(ranks) + " '" + CONVOY_BINARY +
                       "' evaluate --checkpoint " + paths + " " + options);
  }
  static json scores(const std::string& paths, const std::string& options = "") {
    const Outcome outcome = evaluate(paths, "--format=json " + options +
                                                (options.find("--table") == std::string::npos
                                                     ? " --output=" + (folder_->path() / "pictures").string()
                                                     : ""));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.status ? json() : json::parse(outcome.out);
  }
  static std::string of_members(int count) {
    std::string paths;
    for (int number = 1; number <= count; ++number) paths += member("three", number).string() + " ";
    return paths;
  }
};

TEST_F(EnsembleTraining, LeavesARunFolderForEachMember) {
  EXPECT_EQ(status("three")["status"], 0);
  EXPECT_EQ(status("three")["checkpoint"], "ensemble.h5");
  for (int number : {1, 2, 3}) {
    EXPECT_EQ(member_status("three", number)["status"], 0);
    EXPECT_EQ(member_status("three", number)["step"], 30);
    EXPECT_TRUE(std::filesystem::exists(member("three", number) / "metrics.jsonl"));
  }
  EXPECT_TRUE(std::filesystem::exists(run_folder("three") / "config.cfg"));
  EXPECT_FALSE(std::filesystem::exists(run_folder("three") / "checkpoints"));
}

TEST_F(EnsembleTraining, GivesTheSameBitsOnAnyNumberOfRanks) {
  for (int ranks : {1, 3, 5}) {
    const std::string run = "on-" + std::to_string(ranks);
    const Outcome made = ensemble(
        ranks, run, std::string(kThree) + " '--member-overrides=3:model.hidden=30; 2:optim.rate=0.003'");
    ASSERT_EQ(made.status, 0) << made.err;
    for (int number : {1, 2, 3})
      EXPECT_EQ(member_digest(run, number), member_digest("three", number)) << ranks << " ranks";
  }
}

TEST_F(EnsembleTraining, GivesAMemberTheBitsOfAPlainRun) {
  ASSERT_EQ(train(1, "first", kModel).status, 0);
  ASSERT_EQ(
      train(2, "second", with(kModel, "--seed.order=2 --seed.augment=2 --seed.dropout=2 --optim.rate=0.003"))
          .status,
      0);
  ASSERT_EQ(
      train(2, "third", with(kModel, "--seed.order=3 --seed.augment=3 --seed.dropout=3 --model.hidden=30"))
          .status,
      0);
  EXPECT_EQ(digest("first"), member_digest("three", 1));
  EXPECT_EQ(digest("second"), member_digest("three", 2));
  EXPECT_EQ(digest("third"), member_digest("three", 3));
  // And of a run with the config that stands in the member's folder.
  const Outcome again = convoy_with("train --config=" + (member("three", 2) / "config.cfg").string() +
                                    " --runs=" + (folder_->path() / "runs").string() + " --run=again");
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(digest("again"), member_digest("three", 2));
}

TEST_F(EnsembleTraining, DrawsOtherFirstWeightsWithMemberSeedsAll) {
  ASSERT_EQ(ensemble(2, "all", "--mode=ensemble --members=2 --member-seeds=all").status, 0);
  ASSERT_EQ(train(1, "seed-2", with(kModel, "--seed=2")).status, 0);
  EXPECT_EQ(member_digest("all", 2), digest("seed-2"));
  EXPECT_EQ(member_digest("all", 1), member_digest("three", 1));
}

TEST_F(EnsembleTraining, SaysWhoTrainsWhat) {
  const Outcome made = ensemble(2, "words", kThree);
  ASSERT_EQ(made.status, 0);
  for (const char* words : {"[ensemble] 3 members; 2 teams of ranks", "[ensemble] rank 0 trains members 1, 3",
                            "[ensemble] rank 1 trains member 2", "[member 2, train] digest ",
                            "[ensemble] member 3: trained", "[ensemble] done: 3 members; "})
    EXPECT_NE(made.err.find(words), std::string::npos) << words << "\n" << made.err;
}

TEST_F(EnsembleTraining, DoesNothingTwice) {
  const std::string options =
      std::string(kThree) + " '--member-overrides=3:model.hidden=30; 2:optim.rate=0.003'";
  const std::string before = traces("three", 1) + traces("three", 2) + traces("three", 3);
  const Outcome refused = ensemble(2, "three", options);
  EXPECT_EQ(refused.status, 2);
  EXPECT_NE(refused.err.find("holds members that were trained already"), std::string::npos) << refused.err;
  const Outcome resumed = ensemble(1, "three", options + " --resume=latest");
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("3 members, 3 of them trained already"), std::string::npos) << resumed.err;
  EXPECT_EQ(traces("three", 1) + traces("three", 2) + traces("three", 3), before);
}

TEST_F(EnsembleTraining, GrowsByAMemberOrAnEpoch) {
  ASSERT_EQ(ensemble(2, "grows", "--mode=ensemble --members=2 --checkpoint.keep=1").status, 0);
  const std::string first = traces("grows", 1);
  ASSERT_EQ(ensemble(2, "grows", "--mode=ensemble --members=3 --checkpoint.keep=1 --resume=latest").status, 0);
  EXPECT_EQ(traces("grows", 1), first);
  // The checkpoints that ensemble.h5 names stay while their members go on.
  const Outcome failed =
      run_command(command("grows", with(kModel, "--train.epochs=3") +
                                       " --mode=ensemble --members=3 --checkpoint.keep=1 --resume=latest"
                                       " --member-overrides=2:train.batch=80"));
  EXPECT_EQ(failed.status, 2) << failed.err;  // another batch: refused, for the bits would change
  EXPECT_TRUE(std::filesystem::exists(member("grows", 1) / "checkpoints/step-00000045.h5"));
  EXPECT_EQ(evaluate(run_folder("grows").string(), "").status, 0);
  ASSERT_EQ(run_command(command("grows", with(kModel, "--train.epochs=3") +
                                             " --mode=ensemble --members=3 --resume=latest"))
                .status,
            0);
  EXPECT_EQ(scores(run_folder("grows").string())["models"][1]["step"], 45);
}

TEST_F(EnsembleTraining, AndAPlainRunDoNotShareAFolder) {
  ASSERT_EQ(train(1, "plain", kModel).status, 0);
  const Outcome ensemble_there = ensemble(1, "plain", kThree);
  EXPECT_EQ(ensemble_there.status, 2);
  EXPECT_NE(ensemble_there.err.find("holds checkpoints of a single model"), std::string::npos)
      << ensemble_there.err;
  const Outcome plain_there = train(1, "three", kModel);
  EXPECT_EQ(plain_there.status, 2);
  EXPECT_NE(plain_there.err.find("holds an ensemble"), std::string::npos) << plain_there.err;
}

TEST_F(EnsembleTraining, IsRefusedForAMemberThatIsWrong) {
  const Outcome outcome = ensemble(2, "wrong", std::string(kThree) + " '--member-overrides=4:optim.rate=1'");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_NE(outcome.err.find("there is no member 4"), std::string::npos) << outcome.err;
  EXPECT_EQ(lines_in(outcome.err), 1) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(run_folder("wrong")));
}

TEST_F(EnsembleTraining, GoesOnWithoutAMemberThatFails) {
  const std::string options =
      std::string(kThree) + " '--member-overrides=1:inject=nan:sample=5; 3:optim.rate=0.003'";
  const Outcome outcome = ensemble(2, "nan", options);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.err.find("2 of 3 members are trained; missing: 1; member 1 failed: step "),
            std::string::npos)
      << outcome.err;
  EXPECT_EQ(status("nan")["status"], 1);
  EXPECT_EQ(status("nan")["again"], false);
  EXPECT_NE(status("nan")["reason"].get<std::string>().find("member 1 failed: step "), std::string::npos);
  EXPECT_EQ(member_status("nan", 1)["status"], 1);
  EXPECT_EQ(member_status("nan", 2)["status"], 0);
  EXPECT_EQ(member_status("nan", 3)["status"], 0);
  EXPECT_FALSE(is_complete("nan"));
  const Outcome unfinished = evaluate(run_folder("nan").string(), "");
  EXPECT_NE(unfinished.status, 0);
  EXPECT_NE(unfinished.err.find("it is the run of an ensemble"), std::string::npos) << unfinished.err;
  const Outcome doctor = convoy_with("doctor " + run_folder("nan").string());
  EXPECT_NE(doctor.out.find("member 01: after step "), std::string::npos) << doctor.out;
  EXPECT_NE(doctor.out.find("member 02: trained, step 30"), std::string::npos) << doctor.out;

  const std::string before = traces("nan", 2) + traces("nan", 3);
  ASSERT_EQ(ensemble(3, "nan", std::string(kThree) + " '--member-overrides=3:optim.rate=0.003' --resume=latest")
                .status,
            0);
  EXPECT_EQ(traces("nan", 2) + traces("nan", 3), before);
  EXPECT_EQ(member_digest("nan", 1), member_digest("three", 1));
  EXPECT_TRUE(is_complete("nan"));
}

TEST_F(EnsembleTraining, GoesOnWithoutAMemberThatCannotBegin) {
  const Outcome outcome =
      ensemble(3, "no-data", std::string(kThree) + " --member-overrides=2:data.path=/nowhere");
  EXPECT_EQ(outcome.status, 3);
  EXPECT_EQ(status("no-data")["status"], 3);
  EXPECT_EQ(member_status("no-data", 2)["status"], 3);
  EXPECT_EQ(member_status("no-data", 1)["status"], 0);
  EXPECT_EQ(member_status("no-data", 3)["status"], 0);
}

TEST_F(EnsembleTraining, TrainsAMemberAgainWhoseCheckpointIsDamaged) {
  ASSERT_EQ(ensemble(2, "hurt", "--mode=ensemble --members=2").status, 0);
  const std::string digest = member_digest("hurt", 2), first = traces("hurt", 1);
  const auto file = member("hurt", 2) / "checkpoints/step-00000030.h5";
  std::string content = bytes_of(file);
  content[content.size() / 2] ^= 1;
  write_bytes(file, content);
  const Outcome damaged = evaluate(run_folder("hurt").string(), "");
  EXPECT_EQ(damaged.status, 3);
  EXPECT_NE(damaged.err.find("members/02/checkpoints/step-00000030.h5"), std::string::npos) << damaged.err;
  const Outcome resumed = ensemble(2, "hurt", "--mode=ensemble --members=2 --resume=latest");
  ASSERT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("member 2 was trained, but is trained again: "), std::string::npos) << resumed.err;
  EXPECT_EQ(member_digest("hurt", 2), digest);
  EXPECT_EQ(traces("hurt", 1), first);
  EXPECT_EQ(evaluate(run_folder("hurt").string(), "").status, 0);
}

TEST_F(EnsembleTraining, IsEvaluatedAsTheMeanOfItsMembers) {
  const json ensemble = scores(run_folder("three").string()), members = scores(of_members(3));
  ASSERT_EQ(ensemble["models"].size(), 3U);
  for (const char* score : {"loss", "top1", "top5", "confusion"}) EXPECT_EQ(ensemble[score], members[score]);
  for (std::size_t m = 0; m < 3; ++m) EXPECT_EQ(ensemble["models"][m]["loss"], members["models"][m]["loss"]);
  EXPECT_EQ(scores((run_folder("three") / "ensemble.h5").string())["loss"], members["loss"]);
  EXPECT_LT(ensemble["loss"].get<double>(),
            (ensemble["models"][0]["loss"].get<double>() + ensemble["models"][1]["loss"].get<double>() +
             ensemble["models"][2]["loss"].get<double>()) /
                3);  // Jensen's inequality
}

TEST_F(EnsembleTraining, IsNotEvaluatedAwayFromItsMembers) {
  const auto moved = folder_->path() / "moved";
  std::filesystem::create_directories(moved);
  std::filesystem::copy_file(run_folder("three") / "ensemble.h5", moved / "ensemble.h5");
  const Outcome outcome = evaluate((moved / "ensemble.h5").string(), "");
  EXPECT_EQ(outcome.status, 3);
  EXPECT_NE(outcome.err.find("is not there; ensemble.h5 belongs into the run folder"), std::string::npos)
      << outcome.err;
  // The whole folder may move.
  std::filesystem::copy(
      run_folder("three"), folder_->path() / "elsewhere",
      std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
  EXPECT_EQ(scores((folder_->path() / "elsewhere").string())["loss"],
            scores(run_folder("three").string())["loss"]);
}

class ErrorTable : public EnsembleTraining {
 protected:
  static void SetUpTestSuite() {
    Ensembles::SetUpTestSuite();
    // Nets that see 24 x 24 of the 28 x 28 pixels.
    const std::string model = with(kModel, "--data.crop=24 --data.pad=0 --optim.rate=0.0003 --train.epochs=1");
    ASSERT_EQ(run_command(command("three", model + " " + kThree)).status, 0);
  }
};

TEST_F(ErrorTable, HoldsWhatEvaluationsOfTheFirstModelsGive) {
  const json table = scores(run_folder("three").string(), "--table --crops=1,10,dense");
  ASSERT_EQ(table["table"].size(), 9U);
  const json& base = table["table"][0];
  EXPECT_GT(base["top1_error"].get<double>(), 0.01);
  std::size_t row = 0;
  for (int models : {1, 2, 3}) {
    for (const std::string crops : {"1", "10", "dense"}) {
      const json& found = table["table"][row++];
      const json expected = scores(of_members(models), "--crops=" + crops);
      EXPECT_EQ(found["models"], models);
      EXPECT_EQ(found["crops"], crops);
      EXPECT_EQ(found["loss"], expected["loss"]) << models << " " << crops;
      EXPECT_DOUBLE_EQ(found["top1_error"].get<double>(), 1 - expected["top1"].get<double>());
      EXPECT_DOUBLE_EQ(found["top5_error"].get<double>(), 1 - expected["top5"].get<double>());
      EXPECT_NEAR(found["top1_gain"].get<double>(),
                  base["top1_error"].get<double>() - found["top1_error"].get<double>(), 1e-12);
    }
  }
}

TEST_F(ErrorTable, IsReadByPeople) {
  const Outcome outcome = evaluate(run_folder("three").string(), "--table --crops=1,10");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json table = scores(run_folder("three").string(), "--table --crops=1,10");
  char first[32];
  std::snprintf(first, sizeof first, "%6.2f (+0.00)", 100 * table["table"][0]["top1_error"].get<double>());
  EXPECT_NE(outcome.out.find(std::string("\n1       ") + first), std::string::npos) << outcome.out;
  for (const char* words :
       {"3 models on the 101 samples of the test split", "crops 1 ", "crops 10\n", "top-5", "\n3  "})
    EXPECT_NE(outcome.out.find(words), std::string::npos) << words << "\n" << outcome.out;
  EXPECT_EQ(evaluate(run_folder("three").string(), "--table --crops=1,10", 3).out, outcome.out);
}

TEST_F(ErrorTable, TakesSeveralCropsAlone) {
  const Outcome several = evaluate(run_folder("three").string(), "--crops=1,10");
  EXPECT_EQ(several.status, 2);
  EXPECT_NE(several.err.find("several are for --table"), std::string::npos) << several.err;
  const Outcome unknown = evaluate(run_folder("three").string(), "--table --crops=1,12");
  EXPECT_EQ(unknown.status, 2);
  EXPECT_NE(unknown.err.find("expected one or more of 1, 10, 144, dense"), std::string::npos) << unknown.err;
  EXPECT_EQ(evaluate(run_folder("three").string(), "--table --crops=10,10").status, 2);
  EXPECT_EQ(evaluate(run_folder("three").string(), "--table --output=x").status, 2);
}

}  // namespace
}  // namespace convoy
