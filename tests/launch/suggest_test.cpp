#include "launch/suggest.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace convoy {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsSubstitutionsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);  // Levenshtein's own example
  EXPECT_EQ(edit_distance("epcohs", "epochs"), 1);   // one swap
  EXPECT_EQ(edit_distance("flaw", "lawn"), 2);
}

const std::vector<std::string> kNames = {"train.epochs", "train.batch", "optim.rate", "run", "runs", "seed"};

TEST(Nearest, FindsTheNameWithOneLetterWrong) {
  EXPECT_EQ(nearest("train.epoch", kNames), "train.epochs");
  EXPECT_EQ(nearest("tran.epochs", kNames), "train.epochs");
  EXPECT_EQ(nearest("sede", kNames), "seed");
}

TEST(Nearest, FindsTheNameWhoseSectionWasForgottenOrMistaken) {
  EXPECT_EQ(nearest("epochs", kNames), "train.epochs");
  EXPECT_EQ(nearest("train.rate", kNames), "optim.rate");
}

TEST(Nearest, SaysNothingWhereNothingIsNear) {
  EXPECT_EQ(nearest("quux", kNames), "");
  EXPECT_EQ(nearest("x", kNames), "");
  EXPECT_EQ(did_you_mean("quux", kNames), "");
}

}  // namespace
}  // namespace convoy
