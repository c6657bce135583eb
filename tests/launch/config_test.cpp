#include "launch/config.h"

#include <gtest/gtest.h>

#include "io/temporary_folder.h"
#include "launch/expect_message.h"
#include "launch/options.h"

namespace convoy {
namespace {

ConfigFile file(const std::string& text) { return {"lenet.cfg", text}; }

TEST(Config, TakesDefaultsFileAndCommandLineInThatOrder) {
  const Config config = Config::parse("train", {"--train.epochs=7", "--optim.rate", "0.2"},
                                      file("seed = 3\n[train]\nepochs = 5\nbatch = 128\n"));
  EXPECT_EQ(config.get<int>("train.epochs"), 7);   // command line over file
  EXPECT_EQ(config.get<int>("train.batch"), 128);  // file over default
  EXPECT_EQ(config.get<std::uint64_t>("seed"), 3u);
  EXPECT_DOUBLE_EQ(config.get<double>("optim.rate"), 0.2);
  EXPECT_EQ(config.get<std::string>("optim.name"), "sgd");  // default
  EXPECT_TRUE(config.given("train.batch"));
  EXPECT_FALSE(config.given("optim.name"));
}

TEST(Config, SeedsFollowTheSeedUnlessGiven) {
  const Config config = Config::parse("train", {"--seed=9", "--seed.order=4"});
  EXPECT_EQ(config.get<std::uint64_t>("seed.init"), 9u);
  EXPECT_EQ(config.get<std::uint64_t>("seed.order"), 4u);
}

TEST(Config, AYesNoOptionAloneMeansYes) {
  EXPECT_TRUE(Config::parse("train", {"--optim.nesterov"}).get<bool>("optim.nesterov"));
  EXPECT_FALSE(Config::parse("train", {"--optim.nesterov=no"}).get<bool>("optim.nesterov"));
}

TEST(Config, ListsSizesAndSeveralPaths) {
  const Config run = Config::parse("train", {"--optim.milestones=30,60,80"});
  EXPECT_EQ(run.get<std::vector<std::int64_t>>("optim.milestones"), (std::vector<std::int64_t>{30, 60, 80}));
  const Config import = Config::parse("data import", {"--class-names", "cat", "dog"});
  EXPECT_EQ(import.get<std::vector<std::string>>("class-names"), (std::vector<std::string>{"cat", "dog"}));
}

TEST(Config, UnknownNameInAFileNamesFileLineAndTheNearest) {
  EXPECT_USAGE_ERROR(Config::parse("train", {}, file("[train]\n# five\nepoch = 5\n")), "lenet.cfg:3",
                     "train.epoch", "did you mean train.epochs?");
}

TEST(Config, UnknownNameOnTheCommandLineNamesTheNearest) {
  EXPECT_USAGE_ERROR(Config::parse("train", {"--train.epcohs=5"}), "command line", "train.epcohs",
                     "did you mean train.epochs?");
}

TEST(Config, DoesNotGuessFromAPrefix) {
  EXPECT_USAGE_ERROR(Config::parse("train", {"--train.epo=5"}), "unknown option train.epo");
}

TEST(Config, AnOptionOfAnotherCommandIsNamedAsSuch) {
  EXPECT_USAGE_ERROR(Config::parse("data import", {"--train.epochs=5"}), "convoy data import takes no option",
                     "convoy train");
}

TEST(Config, ABadValueNamesItsLine) {
  EXPECT_USAGE_ERROR(Config::parse("train", {}, file("[train]\nepochs = many\n")), "lenet.cfg:2",
                     "train.epochs", "'many'", "whole number");
}

TEST(Config, TellsAllMistakesAtOnce) {
  EXPECT_USAGE_ERROR(Config::parse("train", {"--train.epochs=none", "--optim.rate=-1"}, file("[train]\nbatches = 3\n")),
                     "3 mistakes: (1) ", "train.batches", "(2) ", "train.epochs", "(3) ", "optim.rate");
}

TEST(Config, KnowsWhereAValueWasGiven) {
  const Config config = Config::parse("train", {"--seed=3"}, file("[model]\nname = mlp\n"));
  EXPECT_EQ(config.origin("seed"), "command line");
  EXPECT_EQ(config.origin("model.name"), "lenet.cfg:2");
  EXPECT_EQ(config.origin("optim.rate"), "");
}

TEST(Config, RejectsAnOptionGivenTwiceAndAStrayWord) {
  EXPECT_USAGE_ERROR(Config::parse("train", {"--seed=1", "--seed=2"}), "seed is given a second time");
  EXPECT_USAGE_ERROR(Config::parse("train", {"fast"}), "unexpected word 'fast'");
  EXPECT_USAGE_ERROR(Config::parse("train", {"--seed"}), "--seed");
}

TEST(Config, AFileCannotNameAnotherFile) {
  EXPECT_USAGE_ERROR(Config::parse("train", {}, file("config = other.cfg\n")), "lenet.cfg:1",
                     "cannot name another");
}

TEST(Config, WordsWithoutANameGoToThePositionalOption) {
  const Config config = Config::parse("checkpoint show", {"runs/a", "--format=json"}, {}, "path");
  EXPECT_EQ(config.get<std::filesystem::path>("path"), "runs/a");
  EXPECT_USAGE_ERROR(Config::parse("checkpoint show", {"a", "b"}, {}, "path"), "path is given a second time");
}

TEST(Config, ReadsTheFileThatIsNamedAndSaysWhenThereIsNone) {
  EXPECT_FALSE(read_config_file("train", {"--seed=1"}).has_value());
  EXPECT_USAGE_ERROR(read_config_file("train", {"--config=no/such.cfg"}), "no/such.cfg", "can be read");
  EXPECT_USAGE_ERROR(read_config_file("train", {"--config"}), "names no file");
}

TEST(Config, TextReadsBackToTheSameValuesAndTheSameText) {
  const Config config = Config::parse("train",
                                      {"--data.path=a # b", "--data.crop=28", "--seed=5", "--seed.order=6",
                                       "--optim.rate=0.05", "--resume=latest"},
                                      file("[model]\nname = lenet-5\n"));
  const std::string text = config.text();
  const Config again = Config::from_text("train", text, "text");
  EXPECT_EQ(again.text(), text);
  for (const OptionSpec* option : options_of("train")) {
    if (!option->lasting) continue;
    EXPECT_EQ(again.get<std::string>(option->name), config.get<std::string>(option->name)) << option->name;
  }
}

TEST(Config, TextHoldsEveryLastingOption) {
  const Config config = Config::parse("train", {});
  const std::string text = config.text();
  for (const OptionSpec* option : options_of("train")) {
    const std::string leaf = option->name.substr(option->name.rfind('.') + 1);
    EXPECT_EQ(text.find("\n" + leaf + " ") != std::string::npos ||
                  text.find("\n# " + leaf + " ") != std::string::npos || text.starts_with("# " + leaf + " "),
              option->lasting)
        << option->name;
  }
}

TEST(Config, ASectionHoldsItsNonEmptyValues) {
  const auto model = Config::parse("train", {"--model.name=mlp", "--model.hidden=30,20"}).section("model");
  EXPECT_EQ(model.at("name"), "mlp");
  EXPECT_EQ(model.at("hidden"), "30,20");
  EXPECT_EQ(model.count("variant"), 0u);
}

TEST(Config, AValueWithAControlCharacterIsRefused) {
  for (const std::string& value : {std::string("a\0b", 3), std::string("a\x1b[2J")})
    EXPECT_USAGE_ERROR(Config::from_text("train", "[data]\npath = " + value, "x.cfg"), "x.cfg:2", "without control characters");
}

TEST(Config, MessagesStayShortHoweverLongTheLine) {
  const std::string line(100'000, 'a');
  for (const std::string& text : {line, line + " = 1", "[" + line, "run = \"" + line, "train.batch = " + line, "device = " + line}) {
    try {
      Config::from_text("train", text, "x.cfg");
      ADD_FAILURE() << "accepted " << text.substr(0, 20);
    } catch (const UsageError& error) {
      EXPECT_LT(std::string(error.what()).size(), 1000u) << error.what();
    }
  }
}

TEST(Config, AFileTooLongForAConfigIsNotRead) {
  const TemporaryFolder folder;
  write_bytes(folder.path() / "long.cfg", std::string((1 << 20) + 1, '#'));
  const std::vector<std::string> arguments{"--config=" + (folder.path() / "long.cfg").string()};
  EXPECT_USAGE_ERROR(read_config_file("train", arguments), "more than 1048576 bytes");
}

}  // namespace
}  // namespace convoy
