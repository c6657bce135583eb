#include "launch/options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "launch/expect_message.h"
#include "launch/options_table.h"

namespace convoy {
namespace {

std::string section_of(const std::string& name) {
  const auto dot = name.find('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

TEST(OptionTable, HasOneRowPerNameAndCommand) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const OptionSpec& option : option_table()) {
    EXPECT_FALSE(option.commands.empty()) << option.name;
    for (const std::string& command : option.commands) {
      EXPECT_TRUE(seen.emplace(option.name, command).second) << option.name << " of " << command;
    }
  }
}

TEST(OptionTable, EveryDefaultPassesItsOwnCheck) {
  for (const OptionSpec& option : option_table()) {
    const bool may_be_empty = option.type != OptionType::integer && option.type != OptionType::real &&
                              option.type != OptionType::yes_no;
    if (option.value.empty()) {
      EXPECT_TRUE(may_be_empty || !option.same_as.empty()) << option.name << " has no default";
      continue;
    }
    EXPECT_EQ(checked_value(option, option.value, "table"), option.value) << option.name;
  }
}

TEST(OptionTable, KeepsASectionInOnePieceAndUnsectionedNamesFirst) {
  std::vector<std::string> sections;
  for (const OptionSpec& option : option_table()) {
    const std::string section = section_of(option.name);
    if (!sections.empty() && sections.back() == section) continue;
    EXPECT_EQ(std::count(sections.begin(), sections.end(), section), 0)
        << "[" << section << "] is in two pieces";
    sections.push_back(section);
  }
  EXPECT_EQ(sections.front(), "");
}

TEST(OptionTable, AnOptionThatFollowsAnotherIsTakenWhereThatOneIs) {
  for (const OptionSpec& option : option_table()) {
    if (option.same_as.empty()) continue;
    for (const std::string& command : option.commands) {
      EXPECT_NE(find_option(command, option.same_as), nullptr) << option.name << " of " << command;
    }
  }
}

TEST(OptionTable, EveryOptionOfTrainStandsInItsHelp) {
  const std::string help = describe_options("train");
  for (const OptionSpec* option : options_of("train")) {
    EXPECT_NE(help.find("--" + option->name + "="), std::string::npos) << option->name;
    EXPECT_FALSE(option->help.empty()) << option->name;
  }
}

std::string all_sources() {
  std::string text;
  const std::filesystem::path launch = std::filesystem::path(CONVOY_SOURCE) / "launch";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(launch)) {
    const std::string name = entry.path().filename().string();
    if (entry.path().extension() != ".cpp" || name.starts_with("options")) continue;
    std::ifstream stream(entry.path());
    text.append(std::istreambuf_iterator<char>(stream), {});
  }
  return text;
}

// An option that nobody reads would be accepted and ignored. One with a single legal value is read by its
// check.
TEST(OptionTable, EveryOptionIsReadSomewhere) {
  const std::string sources = all_sources();
  const auto follows = [&](const OptionSpec& option) {
    return std::any_of(option_table().begin(), option_table().end(),
                       [&](const OptionSpec& other) { return other.same_as == option.name; });
  };
  std::set<std::string> own;
  for (const OptionSpec& option : own_model_options()) own.insert(option.name);  // read by the models
  for (const OptionSpec& option : option_table()) {
    if (option.name == "config" || option.name == "device" || option.choices.size() == 1 ||
        own.count(option.name) || follows(option))
      continue;
    EXPECT_NE(sources.find("\"" + option.name + "\""), std::string::npos) << option.name << " is never read";
  }
}

TEST(CheckedValue, RejectsANumberOutOfRangeNamingOptionFoundAndExpected) {
  const OptionSpec& epochs = *find_option("train", "train.epochs");
  EXPECT_USAGE_ERROR(checked_value(epochs, "0", "a.cfg:3"), "a.cfg:3", "train.epochs", "'0'",
                     "from 1 to 1000000");
  EXPECT_USAGE_ERROR(checked_value(epochs, "5x", "a.cfg:3"), "'5x'", "whole number");
  EXPECT_USAGE_ERROR(checked_value(epochs, "", "a.cfg:3"), "whole number");
  EXPECT_USAGE_ERROR(checked_value(epochs, "99999999999999999999", "a.cfg:3"), "whole number");
  EXPECT_EQ(checked_value(epochs, "5", "a.cfg:3"), "5");
}

TEST(CheckedValue, RejectsARealThatIsNoFiniteNumber) {
  const OptionSpec& rate = *find_option("train", "optim.rate");
  for (const char* bad : {"nan", "inf", "-0.1", "fast", "1e", ""}) {
    EXPECT_USAGE_ERROR(checked_value(rate, bad, "command line"), "optim.rate", "a number from 1e-12");
  }
  EXPECT_EQ(checked_value(rate, "1e-1", "command line"), "0.1");
  EXPECT_EQ(checked_value(rate, "0.10", "command line"), "0.1");
}

TEST(CheckedValue, ReadsYesAndNoInTheirSpellings) {
  const OptionSpec& flip = *find_option("train", "data.flip");
  EXPECT_EQ(checked_value(flip, "true", ""), "yes");
  EXPECT_EQ(checked_value(flip, "off", ""), "no");
  EXPECT_USAGE_ERROR(checked_value(flip, "maybe", "x"), "data.flip", "'maybe'", "yes or no");
}

TEST(CheckedValue, SuggestsTheNearestChoice) {
  const OptionSpec& schedule = *find_option("train", "optim.schedule");
  EXPECT_USAGE_ERROR(checked_value(schedule, "cosin", "x"), "did you mean cosine?", "constant, step");
}

TEST(CheckedValue, RefusesPlainlyWhatThisBuildDoesNotHave) {
  EXPECT_USAGE_ERROR(checked_value(*find_option("train", "device"), "gpu", "x"), "say cuda", "cpu");
  EXPECT_USAGE_ERROR(checked_value(*find_option("train", "precision"), "fp64", "x"), "32 bits or fewer");
}

TEST(CheckedValue, ReadsListsOfNumbers) {
  const OptionSpec& crop = *find_option("train", "data.crop");
  EXPECT_EQ(checked_value(crop, "28x32", ""), "28,32");
  EXPECT_EQ(checked_value(crop, "", ""), "");
  for (const char* bad : {"28,", ",28", "28,,3", "0", "a", "28 30"}) {
    EXPECT_USAGE_ERROR(checked_value(crop, bad, "x"), "data.crop", "separated by commas");
  }
}

}  // namespace
}  // namespace convoy
