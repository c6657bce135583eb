#include "core/metrics/confusion.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/random/philox.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

// true \ predicted   cat dog eel
// cat                  5   3   0
// dog                  2   6   1
// eel                  0   0   0
ConfusionMatrix animals() {
  ConfusionMatrix matrix({"cat", "dog", "eel"});
  matrix.add(0, 0, 5);
  matrix.add(0, 1, 3);
  matrix.add(1, 0);
  matrix.add(1, 0);
  matrix.add(1, 1, 6);
  matrix.add(1, 2);
  return matrix;
}

TEST(ConfusionMatrix, CountsRowsByTruthAndColumnsByPrediction) {
  const ConfusionMatrix matrix = animals();
  EXPECT_EQ(matrix.count(0, 1), 3);
  EXPECT_EQ(matrix.count(1, 0), 2);
  EXPECT_EQ(matrix.total(), 17);
  EXPECT_EQ(matrix.correct(), 11);
  EXPECT_EQ(matrix.support(1), 9);
  EXPECT_EQ(matrix.predictions(1), 9);
  EXPECT_EQ(matrix.predictions(0), 7);
}

TEST(ConfusionMatrix, DerivesTheUsualRatios) {
  const ConfusionMatrix matrix = animals();
  EXPECT_DOUBLE_EQ(matrix.accuracy(), 11.0 / 17);
  EXPECT_DOUBLE_EQ(matrix.precision(0), 5.0 / 7);
  EXPECT_DOUBLE_EQ(matrix.recall(0), 5.0 / 8);
  EXPECT_DOUBLE_EQ(matrix.f1(0), 2 * (5.0 / 7) * (5.0 / 8) / (5.0 / 7 + 5.0 / 8));
  EXPECT_DOUBLE_EQ(matrix.precision(2), 0);
  EXPECT_TRUE(std::isnan(matrix.recall(2)));
  EXPECT_DOUBLE_EQ(matrix.macro_f1(), (matrix.f1(0) + matrix.f1(1) + 0) / 3);
}

TEST(ConfusionMatrix, HasNoRatiosWithoutSamples) {
  const ConfusionMatrix matrix({"a", "b"});
  EXPECT_TRUE(std::isnan(matrix.accuracy()));
  EXPECT_TRUE(std::isnan(matrix.f1(0)));
  EXPECT_TRUE(std::isnan(matrix.macro_f1()));
  EXPECT_NE(matrix.text().find("accuracy - (0 of 0)"), std::string::npos);
}

TEST(ConfusionMatrix, MergesByAdding) {
  ConfusionMatrix sum = animals();
  sum.merge(animals());
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) EXPECT_EQ(sum.count(i, j), 2 * animals().count(i, j));
  EXPECT_THROW(sum.merge(ConfusionMatrix({"cat", "dog"})), UsageError);
  EXPECT_THROW(sum.merge(ConfusionMatrix({"cat", "dog", "elk"})), UsageError);
}

TEST(ConfusionMatrix, RejectsClassesThatDoNotExist) {
  ConfusionMatrix matrix = animals();
  EXPECT_THROW(matrix.add(3, 0), DataError);
  EXPECT_THROW(matrix.add(-1, 0), DataError);
  EXPECT_THROW(matrix.add(0, 3), UsageError);
  EXPECT_THROW(matrix.add(0, -1), UsageError);
  EXPECT_THROW(ConfusionMatrix({}), UsageError);
  EXPECT_EQ(matrix.total(), 17);
}

TEST(ConfusionMatrix, WritesJsonThatReadsBack) {
  const auto json = nlohmann::json::parse(animals().json());
  EXPECT_EQ(json["classes"], (std::vector<std::string>{"cat", "dog", "eel"}));
  EXPECT_EQ(json["matrix"], (std::vector<std::vector<int>>{{5, 3, 0}, {2, 6, 1}, {0, 0, 0}}));
  EXPECT_EQ(json["total"], 17);
  EXPECT_EQ(json["correct"], 11);
  EXPECT_EQ(json["accuracy"], 11.0 / 17);
  EXPECT_EQ(json["per_class"][0]["recall"], 0.625);
  EXPECT_TRUE(json["per_class"][2]["recall"].is_null());
}

TEST(ConfusionMatrix, WritesJsonOfNamesThatAreNoText) {
  const auto json = nlohmann::json::parse(ConfusionMatrix({"\xff", "b"}).json());
  EXPECT_EQ(json["classes"], (std::vector<std::string>{"\xef\xbf\xbd", "b"}));  // U+FFFD
}

std::size_t widest_line(const std::string& text) {
  std::istringstream lines(text);
  std::size_t widest = 0;
  for (std::string line; std::getline(lines, line);) widest = std::max(widest, line.size());
  return widest;
}

ConfusionMatrix random_matrix(int classes) {
  std::vector<std::string> names;
  for (int i = 0; i < classes; ++i)
    names.push_back("class " + std::string(static_cast<std::size_t>(i % 30), 'x'));
  ConfusionMatrix matrix(names);
  const RandomKey key(1, "matrix");
  for (std::uint64_t n = 0; n < 10000; ++n) {
    const auto label = key.below(3 * n, static_cast<std::uint64_t>(classes));
    const bool right = key.below(3 * n + 1, 10) > 1;
    matrix.add(label, right ? label : key.below(3 * n + 2, static_cast<std::uint64_t>(classes)));
  }
  return matrix;
}

TEST(ConfusionMatrix, PrintsTheWholeMatrixWhereItFits) {
  const std::string text = animals().text();
  EXPECT_NE(text.find("accuracy 64.71% (11 of 17)"), std::string::npos) << text;
  EXPECT_NE(text.find("0  cat    5   3   .\n"), std::string::npos) << text;
  EXPECT_NE(text.find("1  dog    2   6   1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("cat  taken for dog"), std::string::npos) << text;
}

TEST(ConfusionMatrix, StaysWithinTheWidthForAnyNumberOfClasses) {
  for (const int classes : {2, 10, 20, 30, 100, 1000}) {
    const std::string text = random_matrix(classes).text(110);
    EXPECT_LE(widest_line(text), 110u) << classes;
    EXPECT_NE(text.find("most frequent mistakes"), std::string::npos);
    EXPECT_EQ(text.find("wider than 110 columns") == std::string::npos, classes <= 20) << classes;
  }
}

TEST(ConfusionMatrix, ListsTheMostFrequentMistakesFirst) {
  const std::string text = animals().text();
  const auto cat = text.find("cat  taken for dog    37.50%"), dog = text.find("dog  taken for cat    22.22%");
  ASSERT_NE(cat, std::string::npos) << text;
  ASSERT_NE(dog, std::string::npos) << text;
  EXPECT_LT(cat, dog);
}

TEST(ConfusionMatrix, AlignsNamesOfManyBytesByTheirCharacters) {
  ConfusionMatrix matrix({"robe d'\xc3\xa9t\xc3\xa9", "cat"});
  matrix.add(0, 0);
  matrix.add(1, 1);
  const std::string text = matrix.text();
  EXPECT_NE(text.find("robe d'\xc3\xa9t\xc3\xa9   1"), std::string::npos) << text;
  EXPECT_NE(text.find("cat          .   1"), std::string::npos) << text;
}

}  // namespace
}  // namespace convoy
