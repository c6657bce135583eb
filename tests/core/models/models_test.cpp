// Parameter counts and multiply-adds of the papers.
#include <gtest/gtest.h>

#include "core/models/summary.h"
#include "core/models/training.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

ModelSummary summary_of(const std::string& name, const Shape& input, std::int64_t classes,
                        const std::map<std::string, std::string>& options = {}) {
  const ModelEntry& model = find_model(name);
  Value x;
  const Graph graph = build_forward_graph(model, complete_options(model, options), input, classes, x);
  return summarize(graph, x, name);
}

// LeCun et al. 1998, section II.B: 60,000 trainable free parameters; the output layer's 840 numbers are fixed.
TEST(LeNet5, HasTheParametersOf1998) {
  const ModelSummary summary = summary_of("lenet-5", {32, 32, 1}, 10);
  EXPECT_EQ(summary.parameters, 60000);
  EXPECT_EQ(summary.constants, 840);
}

// The paper's figure 2 and its text, layer by layer.
TEST(LeNet5, HasTheLayersOf1998) {
  const ModelSummary summary = summary_of("lenet-5", {32, 32, 1}, 10);
  std::map<std::string, std::pair<std::int64_t, Shape>> layers;
  for (const LayerRow& row : summary.layers) {
    layers[row.name].first += row.parameters;
    if (!row.name.empty()) layers[row.name].second = row.output;
  }
  EXPECT_EQ(layers["C1"], (std::pair<std::int64_t, Shape>{156, {28, 28, 6}}));
  EXPECT_EQ(layers["S2"], (std::pair<std::int64_t, Shape>{12, {14, 14, 6}}));
  EXPECT_EQ(layers["C3"], (std::pair<std::int64_t, Shape>{1516, {10, 10, 16}}));
  EXPECT_EQ(layers["S4"], (std::pair<std::int64_t, Shape>{32, {5, 5, 16}}));
  EXPECT_EQ(layers["C5"], (std::pair<std::int64_t, Shape>{48120, {1, 1, 120}}));
  EXPECT_EQ(layers["F6"], (std::pair<std::int64_t, Shape>{10164, {84}}));
}

TEST(LeNet5, SeesTheWholeImageFromC5On) {
  const ModelSummary summary = summary_of("lenet-5", {32, 32, 1}, 10);
  for (const LayerRow& row : summary.layers)
    if (row.name == "C5" && row.kind.starts_with("conv")) {
      EXPECT_EQ(row.receptive_field, (std::vector<std::int64_t>{32, 32}));
    }
}

// The paper's connections without those of the biases: 117,600 + 150,000 + 48,000 + 10,080; the output layer has 840.
TEST(LeNet5, CountsTheMultiplyAddsOfItsLinks) {
  EXPECT_EQ(summary_of("lenet-5", {32, 32, 1}, 10).multiply_adds, 325680 + 840);
}

TEST(LeNet5, HasTheUsualCountsInItsModernForm) {
  const ModelSummary summary = summary_of("lenet-5", {32, 32, 1}, 10, {{"variant", "modern"}});
  EXPECT_EQ(summary.parameters, 61706);
  EXPECT_EQ(summary.multiply_adds, 416520);
}

TEST(LeNet5, SetsASmallImageIntoThePapersField) {
  EXPECT_EQ(summary_of("lenet-5", {28, 28, 1}, 10).parameters, 60000);
}

TEST(LeNet5, NamesTheLayerThatAnImageIsTooSmallFor) {
  EXPECT_THROW(summary_of("lenet-5", {12, 12, 1}, 10), UsageError);
}

// He et al. 2016, section 4.2: 0.27 M, 0.46 M, 0.66 M, 0.85 M, 1.7 M parameters; the exact counts follow from the table.
TEST(ResNetSmall, HasTheCountsOfThePaper) {
  const std::tuple<std::string, std::int64_t, double> rows[] = {{"resnet-20", 269722, 40551040},
                                                               {"resnet-32", 464154, 68862592},
                                                               {"resnet-44", 658586, 97174144},
                                                               {"resnet-56", 853018, 125485696},
                                                               {"resnet-110", 1727962, 252887680}};
  for (const auto& [name, parameters, multiply_adds] : rows) {
    const ModelSummary summary = summary_of(name, {32, 32, 3}, 10);
    EXPECT_EQ(summary.parameters, parameters) << name;
    EXPECT_EQ(summary.multiply_adds, multiply_adds) << name;
  }
}

TEST(Mlp, HasOneMatrixAndOneBiasPerLayer) {
  const ModelSummary summary = summary_of("mlp", {28, 28, 1}, 10, {{"hidden", "30,20"}});
  EXPECT_EQ(summary.parameters, 784 * 30 + 30 + 30 * 20 + 20 + 20 * 10 + 10);
}

TEST(Mlp, RefusesHiddenUnitsThatAreNoNumbers) {
  EXPECT_THROW(summary_of("mlp", {28, 28, 1}, 10, {{"hidden", "30,x"}}), UsageError);
}

TEST(Registry, AnswersAnUnknownNameWithTheKnownOnes) {
  try {
    find_model("lenet5");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("lenet-5"), std::string::npos);
  }
}

TEST(Registry, RefusesAnOptionThatTheModelDoesNotHave) {
  EXPECT_THROW(complete_options(find_model("resnet-20"), {{"variant", "modern"}}), UsageError);
}

TEST(Summary, IsValidInAllForms) {
  const ModelSummary summary = summary_of("resnet-20", {32, 32, 3}, 10);
  EXPECT_NE(summary_text(summary).find("269,722 parameters"), std::string::npos);
  EXPECT_NE(summary_json(summary).find("\"parameters\": 269722"), std::string::npos);
  EXPECT_TRUE(summary_dot(summary).starts_with("digraph"));
}

}  // namespace
}  // namespace convoy
