#include "launch/printable.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

TEST(Printable, KeepsTextInAnyLanguage) {
  for (const char* text : {"", "a b\tc\n", "na\xc3\xafve \xe9\x9d\xb4\xe5\xad\x90 \xf0\x9f\x91\xa2"}) EXPECT_EQ(printable(text), text);
}

TEST(Printable, SpellsOutWhatSteersATerminal) {
  EXPECT_EQ(printable("\x1b[2J\x07\x7f"), "\\x1b[2J\\x07\\x7f");
  EXPECT_EQ(printable("a\rb"), "a\\x0db");
  EXPECT_EQ(printable("\xc2\x9b" "31m"), "\\xc2\\x9b31m") << "CSI as one character";
}

TEST(Printable, SpellsOutBytesThatAreNotUtf8) {
  EXPECT_EQ(printable("\xff" "a\xc3"), "\\xff" "a\\xc3");
  EXPECT_EQ(printable("\xe9\x9d"), "\\xe9\\x9d");
}

}  // namespace
}  // namespace convoy
