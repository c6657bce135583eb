// Folders of JPEG files, as a user goes about them: import, training, prediction.
#include <gtest/gtest.h>

#include <map>

#include "io/jpeg.h"
#include "io/test_pictures.h"
#include "launch/expect_message.h"
#include "launch/run_command.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

/// Two classes of photographs of many sizes, told apart by their brightness.
class ImageData : public testing::Test {
 protected:
  ImageData() {
    for (const char* split : {"train", "val"})
      for (const char* name : {"bright", "dark"}) {
        fs::create_directories(photos() / split / name);
        for (int i = 0; i < (split == std::string("train") ? 12 : 4); ++i) {
          Tensor picture = test_picture(40 + 5 * i, 64 - 2 * i, 3, i);
          if (name == std::string("dark"))
            for (std::uint8_t& pixel : picture.values<std::uint8_t>()) pixel /= 4;
          write_bytes(photos() / split / name / (std::to_string(i) + ".jpg"), text_of_bytes(encode_jpeg(picture, 90)));
        }
      }
  }

  Outcome import(const std::string& output, const std::string& more = "", int ranks = 0) const {
    return convoy("data import --from=image-folder --input=photos --shards=3 --output=" + output + " " + more, ranks);
  }
  Outcome train(const std::string& run, const std::string& more, int ranks = 0, int epochs = 2) const {
    return convoy("train --model.name=lenet-5 --data.path=data --data.stage=none --train.batch=8 --virtual-workers=4 --optim.rate=0.02 "
                  "--run=" + run + " --train.epochs=" + std::to_string(epochs) + " " + more, ranks);
  }
  Outcome convoy(const std::string& arguments, int ranks = 0) const {
    const std::string start = ranks > 0 ? std::string(CONVOY_MPIRUN) + " -n " + std::to_string(ranks) + " " : "";
    return run_command(start + "'" + CONVOY_BINARY + "' " + arguments, folder_.path());
  }
  static std::string digest_in(const Outcome& outcome) {
    const std::size_t at = outcome.err.find("digest ");
    return at == std::string::npos ? "none in: " + outcome.err : outcome.err.substr(at + 7, 64);
  }
  std::map<std::string, std::string> files(const std::string& folder) const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::directory_iterator(folder_.path() / folder)) all[entry.path().filename().string()] = bytes_of(entry.path());
    return all;
  }
  fs::path photos() const { return folder_.path() / "photos"; }
  const fs::path& folder() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

constexpr const char* kAugmented =
    "--data.size=28 --data.view=random-resized-crop --data.area=0.3,1 --data.flip --data.brightness=0.2 --data.color-noise=0.1 "
    "--data.cutout=6 --data.mixup=0.4";

TEST_F(ImageData, RanksImportTogetherWhatOneImportsAlone) {
  const Outcome alone = import("data"), together = import("other", "", 3);
  ASSERT_EQ(alone.status, 0) << alone.err;
  ASSERT_EQ(together.status, 0) << together.err;
  test::expect_parts(alone.out, {"train", "24 samples of jpeg pictures of 3 channels, 3 shards", "validation", "8 samples"});
  EXPECT_EQ(together.out, alone.out);
  EXPECT_TRUE(files("data") == files("other"));
  test::expect_parts(convoy("data verify data").out, {"good: 6 shards, 32 samples checked, 0 problems"});
  test::expect_parts(convoy("data stats data").out, {"colour covariance"});
}

TEST_F(ImageData, ABadFileFailsOnAllRanksWithOneMessage) {
  write_bytes(photos() / "train/dark/cut.jpg", "\xff\xd8\xff\xe0");
  for (int ranks : {0, 2}) {
    const Outcome refused = import("data", "", ranks);
    EXPECT_EQ(refused.status, 3) << refused.err;
    test::expect_parts(refused.err, {"1 bad files", "--skip-bad", "cut.jpg"});
    EXPECT_EQ(refused.err.find("1 bad files"), refused.err.rfind("1 bad files")) << refused.err;
  }
  const Outcome left_out = import("data", "--skip-bad", 2);
  EXPECT_EQ(left_out.status, 0) << left_out.err;
  EXPECT_NE(bytes_of(folder() / "data/import-report.tsv").find("cut.jpg\tbad\t"), std::string::npos);
}

TEST_F(ImageData, TrainingHasTheSameBitsOnAnyRanksAndThreads) {
  ASSERT_EQ(import("data").status, 0);
  const Outcome one = train("one", kAugmented);
  ASSERT_EQ(one.status, 0) << one.err;
  EXPECT_EQ(digest_in(train("two", std::string(kAugmented) + " --data.threads=3", 2)), digest_in(one));
  EXPECT_EQ(digest_in(train("three", std::string(kAugmented) + " --device.threads=2", 3)), digest_in(one));
  EXPECT_NE(digest_in(train("other", std::string(kAugmented) + " --seed.augment=2")), digest_in(one));
}

TEST_F(ImageData, WhatChangesTheViewIsRefusedOnResume) {
  ASSERT_EQ(import("data").status, 0);
  ASSERT_EQ(train("run", kAugmented).status, 0);
  const std::string resume = "--data.size=28 --data.view=random-resized-crop --data.flip --data.mixup=0.4 --resume=latest ";
  for (const char* other : {"--data.area=0.4,1 --data.brightness=0.2 --data.color-noise=0.1 --data.cutout=6",
                            "--data.area=0.3,1 --data.brightness=0.3 --data.color-noise=0.1 --data.cutout=6",
                            "--data.area=0.3,1 --data.brightness=0.2 --data.color-noise=0.1 --data.cutout=5"}) {
    const Outcome refused = train("run", resume + other, 0, 3);
    EXPECT_EQ(refused.status, 2) << refused.err;
    test::expect_parts(refused.err, {"run record differs", "augment"});
  }
  const Outcome short_side = train("run", std::string(kAugmented) + " --resume=latest --data.resize-short=40", 0, 3);
  EXPECT_EQ(short_side.status, 2) << short_side.err;
  EXPECT_EQ(train("run", resume + "--data.area=0.3,1 --data.brightness=0.2 --data.color-noise=0.1 --data.cutout=6", 0, 3).status, 0);
}

TEST_F(ImageData, EvaluateAndPredictTakePicturesOfAnySize) {
  ASSERT_EQ(import("data").status, 0);
  const Outcome trained = train("run", "--data.size=28 --data.resize-short=32", 0, 12);
  ASSERT_EQ(trained.status, 0) << trained.err;
  const Outcome evaluated = convoy("evaluate --checkpoint=runs/run --data.split=validation");
  ASSERT_EQ(evaluated.status, 0) << evaluated.err;
  test::expect_parts(evaluated.out, {"on the 8 samples of the validation split", "top-1 100.00 %"});
  const Outcome predicted = convoy("predict --checkpoint=runs/run --input=photos/val --top=1");
  ASSERT_EQ(predicted.status, 0) << predicted.err;
  EXPECT_EQ(lines_in(predicted.out), 9);
  for (int i = 0; i < 4; ++i)
    test::expect_parts(predicted.out, {"bright/" + std::to_string(i) + ".jpg\tbright", "dark/" + std::to_string(i) + ".jpg\tdark"});
}

TEST_F(ImageData, ManyCropsGiveTheSameNumbersOnOneToFourRanks) {
  ASSERT_EQ(import("data").status, 0);
  ASSERT_EQ(train("a", "--data.size=28 --data.resize-short=36 --train.steps=1", 0, 1).status, 0);
  ASSERT_EQ(train("b", "--data.size=28 --data.resize-short=36 --train.steps=1 --seed=2", 0, 1).status, 0);
  const auto evaluate = [&](const std::string& options, int ranks) {
    return convoy("evaluate --checkpoint runs/a runs/b --data.split=validation --format=json --output=pictures " + options, ranks);
  };
  const Outcome plain = evaluate("", 0);
  for (const char* crops : {"10", "144"}) {
    const std::string option = std::string("--crops=") + crops;
    const Outcome alone = evaluate(option, 0);
    ASSERT_EQ(alone.status, 0) << alone.err;
    test::expect_parts(alone.out, {std::string("\"crops\": \"") + crops + "\"", "\"models\": ["});
    EXPECT_NE(alone.out.substr(alone.out.find("\"loss\"")), plain.out.substr(plain.out.find("\"loss\"")));
    for (int ranks = 2; ranks <= 4; ++ranks)
      EXPECT_EQ(evaluate(option + " --device.threads=" + std::to_string(ranks - 1), ranks).out, alone.out) << ranks;
  }
  const Outcome text = convoy("evaluate --checkpoint runs/a runs/b --data.split=validation --output=pictures --crops=144");
  test::expect_parts(text.out, {"averaged over 144 crops and 2 models:"});
  EXPECT_NE(evaluate("--crops=10 --data.resize-short=30", 0).out, evaluate("--crops=10", 0).out);
}

TEST_F(ImageData, CropsThatCannotBeCutAreRefused) {
  ASSERT_EQ(import("data").status, 0);
  ASSERT_EQ(train("none", "--data.size=28", 0, 1).status, 0);
  ASSERT_EQ(train("oblong", "--data.size=32,36 --data.resize-short=44", 0, 1).status, 0);
  ASSERT_EQ(train("small", "--data.size=32 --data.crop=28", 0, 1).status, 0);
  ASSERT_EQ(train("large", "--data.size=32", 0, 1).status, 0);
  const std::pair<const char*, const char*> mistakes[] = {
      {"runs/none --crops=10", "a larger data.resize-short"},
      {"runs/none --crops=10 --data.resize-short=28", "data.resize-short is 28"},
      {"runs/none --crops=144 --data.resize-short=40", "does not go with --crops=144"},
      {"runs/oblong --crops=144", "--crops=144: these crops are cut from squares, but the model takes 32 x 36"},
      {"runs/large runs/small --crops=144", "runs/large/checkpoints"}};
  for (const auto& [options, words] : mistakes) {
    const Outcome refused = convoy(std::string("evaluate --data.split=validation --output=pictures --checkpoint ") + options);
    EXPECT_EQ(refused.status, 2) << options << ": " << refused.err;
    test::expect_parts(refused.err, {words});
  }
  for (const char* accepted : {"runs/none --crops=10 --data.resize-short=32", "runs/oblong --crops=10", "runs/small --crops=10", "runs/small --crops=144"})
    EXPECT_EQ(convoy(std::string("evaluate --data.split=validation --output=pictures --checkpoint ") + accepted).status, 0) << accepted;
}

TEST_F(ImageData, MistakesAreToldBeforeAnythingStarts) {
  ASSERT_EQ(import("data").status, 0);
  const std::pair<const char*, const char*> mistakes[] = {
      {"", "--data.size=224"},
      {"--data.size=28 --data.view=resize-crop --data.short-side=20,40", "data.short-side is 20,40"},
      {"--data.size=28 --data.view=random-resized-crop --data.area=1", "data.area is \"1\""},
      {"--data.size=28 --data.resize-short=20", "data.resize-short is 20"},
      {"--data.size=28,28,28", "data.size has 3 numbers"},
      {"--data.size=28 --data.area=0.1,1", "data.area belongs to data.view = random-resized-crop, but it is centre"},
      {"--data.view=random-resized-crop --optim.nesterov --optim.momentum=0", "2 mistakes:"}};
  for (const auto& [options, words] : mistakes) {
    const Outcome refused = train("run", options);
    EXPECT_EQ(refused.status, 2) << options << ": " << refused.err;
    test::expect_parts(refused.err, {words});
  }
  const Outcome misplaced = convoy("data import --from=idx --input=photos --output=x --resize-short=20");
  EXPECT_EQ(misplaced.status, 2);
  test::expect_parts(misplaced.err, {"resize-short is for --from=image-folder"});
}

TEST_F(ImageData, DecodingIsMeasured) {
  ASSERT_EQ(import("data").status, 0);
  const Outcome measured = convoy("bench loader --decode=jpeg --data.path=data --data.size=24 --batch=4 --repetitions=1 --format=json");
  ASSERT_EQ(measured.status, 0) << measured.err;
  test::expect_parts(measured.out, {R"("sample":[24,24,3])", R"("whole")", R"("consumed")"});
  EXPECT_EQ(convoy("bench loader --data.path=data").status, 2) << "encoded pictures, not asked to decode them";
}

}  // namespace
}  // namespace convoy
