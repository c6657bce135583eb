#include "launch/ini.h"

#include <gtest/gtest.h>

#include "launch/expect_message.h"

namespace convoy {
namespace {

TEST(Ini, JoinsSectionAndNameAndKeepsLineNumbers) {
  const auto entries =
      parse_ini("run = lenet\n\n# comment\n[train]\nepochs=5\n  batch = 64  # samples\n", "a.cfg");
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].name, "run");
  EXPECT_EQ(entries[0].value, "lenet");
  EXPECT_EQ(entries[0].line, 1);
  EXPECT_EQ(entries[1].name, "train.epochs");
  EXPECT_EQ(entries[1].line, 5);
  EXPECT_EQ(entries[2].value, "64");
}

TEST(Ini, ReadsFilesWithCarriageReturnsAndWithoutALastLineBreak) {
  const auto entries = parse_ini("[train]\r\nepochs = 5\r\nbatch = 8", "a.cfg");
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].value, "5");
  EXPECT_EQ(entries[1].value, "8");
}

TEST(Ini, ValuesSurviveWritingAndReading) {
  for (const std::string value : {"plain", "two words", "a#b", "# not a comment", " blanks ", "say \"hi\"",
                                  "back\\slash", "", "a = b", "[x]", "semi ; colon"}) {
    const auto entries = parse_ini("x = " + ini_value(value) + "\n", "a.cfg");
    ASSERT_EQ(entries.size(), 1u) << value;
    EXPECT_EQ(entries[0].value, value);
  }
}

TEST(Ini, RejectsALineThatIsNoEntry) {
  EXPECT_USAGE_ERROR(parse_ini("[train]\nepochs 5\n", "a.cfg"), "a.cfg:2", "name = value", "epochs 5");
}

TEST(Ini, RejectsASectionWithoutItsBracket) {
  EXPECT_USAGE_ERROR(parse_ini("[train\n", "a.cfg"), "a.cfg:1", "[section]");
}

TEST(Ini, RejectsANameGivenTwiceAndNamesBothLines) {
  EXPECT_USAGE_ERROR(parse_ini("[train]\nepochs=5\nepochs=6\n", "a.cfg"), "a.cfg:3", "train.epochs", "line 2");
}

TEST(Ini, RejectsAQuoteThatDoesNotEnd) {
  EXPECT_USAGE_ERROR(parse_ini("run = \"abc\n", "a.cfg"), "a.cfg:1", "closing quote");
  EXPECT_USAGE_ERROR(parse_ini("run = \"abc\" def\n", "a.cfg"), "a.cfg:1", "def");
}

}  // namespace
}  // namespace convoy
