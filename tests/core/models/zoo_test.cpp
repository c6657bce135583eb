// Every network of the zoo: parameters and multiply-adds of its paper's figures, the sizes it takes, and that it learns.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/backend/backend.h"
#include "core/graph/initialize.h"
#include "core/graph/program.h"
#include "core/models/summary.h"
#include "core/models/training.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

using Options = std::map<std::string, std::string>;

ModelSummary summary_of(const std::string& name, const Options& options = {}, std::int64_t classes = 0, Shape input = {}) {
  const ModelEntry& model = find_model(name);
  Value x;
  const Graph graph = build_forward_graph(model, complete_options(model, options), input.rank() ? input : model.input,
                                          classes ? classes : model.classes, x);
  return summarize(graph, x, name);
}

struct Figures {
  std::string name;
  Options options;
  std::int64_t parameters;
  double multiply_adds;
  std::int64_t classes = 0;
};

std::ostream& operator<<(std::ostream& out, const Figures& figures) {
  out << figures.name;
  for (const auto& [name, value] : figures.options) out << " " << name << "=" << value;
  return out;
}

class Zoo : public testing::TestWithParam<Figures> {};

TEST_P(Zoo, HasTheParametersAndMultiplyAddsOfItsPaper) {
  const Figures& expected = GetParam();
  const ModelSummary summary = summary_of(expected.name, expected.options, expected.classes);
  EXPECT_EQ(summary.parameters, expected.parameters);
  EXPECT_NEAR(static_cast<double>(summary.multiply_adds), expected.multiply_adds, 0.01 * expected.multiply_adds);
}

const Options kA{{"shortcut", "A"}}, kC{{"shortcut", "C"}}, k3x3{{"stride-on", "3x3"}};

INSTANTIATE_TEST_SUITE_P(
    Networks, Zoo,
    testing::Values(
        Figures{"vgg-11", {}, 132863336, 7609090048}, Figures{"vgg-13", {}, 133047848, 11308466176},
        Figures{"vgg-16-c", {}, 133638952, 11770888192}, Figures{"vgg-16", {}, 138357544, 15470264320},
        Figures{"vgg-19", {}, 143667240, 19632062464}, Figures{"plain-18", {}, 11515688, 1794805760},
        Figures{"resnet-18", kA, 11515688, 1794805760}, Figures{"resnet-18", {}, 11689512, 1814073344},
        Figures{"plain-34", {}, 21623848, 3644493824}, Figures{"resnet-34", kA, 21623848, 3644493824},
        Figures{"resnet-34", {}, 21797672, 3663761408}, Figures{"resnet-34", kC, 22716840, 3830747136},
        Figures{"resnet-50", kA, 22780456, 3498311680}, Figures{"resnet-50", {}, 25557032, 3857973248},
        Figures{"resnet-50", k3x3, 25557032, 4089184256}, Figures{"resnet-50", kC, 40128552, 6324224000},
        Figures{"resnet-101", {}, 44549160, 7570194432}, Figures{"resnet-101", k3x3, 44549160, 7801405440},
        Figures{"resnet-152", {}, 60192808, 11282415616}, Figures{"resnet-152", k3x3, 60192808, 11513626624},
        Figures{"resnet-1202", {}, 19421274, 2829238912}, Figures{"resnet-110", {{"shortcut", "B"}}, 1730714, 253149824},
        Figures{"resnet-110", {}, 1733812, 252893440, 100}, Figures{"plain-20", {}, 269722, 40551040},
        Figures{"plain-32", {}, 464154, 68862592}, Figures{"plain-44", {}, 658586, 97174144},
        Figures{"plain-56", {}, 853018, 125485696}, Figures{"wide-resnet-16-4", {}, 2748890, 0.393e9},
        Figures{"wide-resnet-16-8", {}, 10961370, 1.548e9}, Figures{"wide-resnet-22-8", {}, 17158106, 2.454e9},
        Figures{"wide-resnet-40-4", {}, 8949210, 1.299e9}, Figures{"wide-resnet-28-10", {}, 36479194, 5243328768},
        Figures{"wide-resnet-28-10", {}, 36536884, 5243386368, 100}, Figures{"wide-resnet-50-2", {}, 68883240, 11398021120},
        Figures{"densenet-121", {}, 7978856, 2834161664}, Figures{"densenet-169", {}, 14149480, 3359843328},
        Figures{"densenet-201", {}, 20013928, 4291365888}, Figures{"densenet-161", {}, 28681000, 7727907072},
        Figures{"densenet-40-12", {}, 1019722, 0.265e9}, Figures{"densenet-100-12", {}, 6979642, 1.770e9},
        Figures{"densenet-100-24", {}, 27249082, 6.889e9}, Figures{"densenet-bc-100-12", {}, 769162, 0.288e9},
        Figures{"densenet-bc-250-24", {}, 15324406, 5.419e9}, Figures{"densenet-bc-190-40", {}, 25624430, 9.302e9},
        Figures{"densenet-bc-100-12", {}, 800032, 287960472, 100}, Figures{"alexnet", {}, 60965224, 724406816},
        Figures{"alexnet", {{"towers", "1"}}, 62378344, 1135256096}, Figures{"alexnet-2014", {}, 61100840, 714188480},
        Figures{"vgg-11-lrn", {}, 132863336, 7609090048},
        Figures{"googlenet", {{"auxiliary", "off"}}, 6998552, 1582671872}, Figures{"googlenet", {}, 13378280, 1591044096},
        Figures{"googlenet", {{"variant", "library"}, {"auxiliary", "off"}}, 6624904, 1498376192},
        Figures{"googlenet", {{"variant", "library"}}, 13004888, 1506748416},
        Figures{"highway-10", {}, 85660, 85150}, Figures{"highway-20", {}, 136660, 135150}, Figures{"highway-50", {}, 289660, 285150},
        Figures{"highway-100", {}, 544660, 535150}, Figures{"highway-10", {{"gates", "off"}, {"units", "71"}}, 102463, 101743},
        Figures{"highway-100", {{"gates", "off"}, {"units", "71"}}, 562543, 555433}, Figures{"highway-conv-16", {}, 38730, 10726560},
        Figures{"highway-conv-32", {}, 151178, 42677568}, Figures{"fractalnet-5", {{"width", "16"}}, 246682, 4.6e6},
        Figures{"fractalnet-10", {{"width", "16"}}, 836106, 19.2e6}, Figures{"fractalnet-20", {{"width", "16"}}, 2113594, 53.8e6},
        Figures{"fractalnet-40", {{"width", "16"}}, 4767210, 128.6e6}, Figures{"fractalnet-80", {{"width", "16"}}, 10173082, 283.6e6},
        Figures{"fractalnet-160", {{"width", "16"}}, 21083466, 599.0e6}, Figures{"fractalnet-20", {}, 33724618, 845222912},
        Figures{"fractalnet-20", {}, 33770788, 845268992, 100}, Figures{"resnet-110", {{"stochastic-depth", "0.5"}}, 1727962, 252887680}));

TEST(ZooSizes, TakesAnyThatTheArithmeticAllows) {
  EXPECT_EQ(summary_of("resnet-18", {}, 7, {64, 48, 1}).layers.back().output, Shape{7});
  EXPECT_EQ(summary_of("densenet-bc-40-12", {}, 3, {28, 28, 1}).layers.back().output, Shape{3});
  EXPECT_EQ(summary_of("vgg-11", {}, 3, {32, 32, 3}).layers.back().output, Shape{3});
}

TEST(ZooSizes, NamesTheLayerWhereAnImageIsTooSmall) {
  try {
    summary_of("vgg-16", {}, 10, {16, 16, 3});
    FAIL() << "vgg-16 took 16 x 16";
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("pool5"), std::string::npos) << error.what();
  }
}

TEST(ZooNames, OfFamiliesAreMadeFromTheirNumbers) {
  EXPECT_EQ(find_model("densenet-22-6").name, "densenet-22-6");
  EXPECT_EQ(&find_model("densenet-22-6"), &find_model("densenet-22-6"));
  EXPECT_THROW(find_model("densenet-41-12"), UsageError);
  EXPECT_THROW(find_model("densenet-40-"), UsageError);
  EXPECT_THROW(find_model("densenet-040-12"), UsageError);
  EXPECT_THROW(find_model("densenet-99994-12"), UsageError);
  EXPECT_THROW(find_model("densenet-40-12-3"), UsageError);
  EXPECT_THROW(find_model("wide-resnet-17-4"), UsageError);
}

/// Steps of plain gradient descent on one micro-batch of a small instance.
std::vector<double> losses_of(const std::string& name, const Options& options, const Shape& image, double rate) {
  Task task{.model = name, .options = options, .classes = 4, .micro_batch = 4, .image = image, .stored = DType::f32};
  const TrainingGraph training = build_training_graph(task, std::size_t{1} << 20);
  const auto backend = make_cpu_backend();
  Program program(training.graph, *backend, {.outside = training.leaves});
  std::map<int, Tensor> held;
  const auto hold = [&](Value value) -> Tensor& {
    const TensorDesc& desc = training.graph.info(value).desc;
    Tensor& tensor = held.emplace(value.id, Tensor(desc.shape, desc.dtype)).first->second;
    program.bind_memory(value, tensor.bytes());
    return tensor;
  };
  for (Role role : {Role::parameter, Role::state})
    for (Value value : training.graph.with_role(role)) {
      const Tensor first = initial_value(training.graph.info(value), 1);
      std::memcpy(hold(value).bytes(), first.bytes(), first.size_bytes());
    }
  for (Value leaf : training.leaves) hold(leaf);
  auto images = hold(training.inputs.images).values<float>();
  for (std::size_t i = 0; i < images.size(); ++i) images[i] = std::sin(0.37F * static_cast<float>(i * i % 1013));
  hold(training.inputs.transforms);
  auto labels = hold(training.inputs.labels).values<std::int32_t>();
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int32_t>(i);
  std::ranges::fill(hold(training.inputs.weights).values<float>(), 1.0F);
  if (training.inputs.keys.exists()) hold(training.inputs.keys);
  std::vector<double> losses;
  for (int step = 0; step < 8; ++step) {
    program.run();
    losses.push_back(static_cast<double>(*program.data<float>(training.loss)));
    for (const ParameterGradient& entry : training.gradients) {
      auto weights = held.at(entry.parameter.id).values<float>();
      const float* gradient = program.data<float>(entry.gradient);
      for (std::size_t i = 0; i < weights.size(); ++i) weights[i] -= static_cast<float>(rate) * gradient[i] / 4;
    }
  }
  return losses;
}

TEST(ZooTraining, EveryFamilyLearnsABatchByHeart) {
  const std::tuple<std::string, Options, Shape, double> nets[] = {
      {"vgg-11", {{"normalization", "batch-norm"}}, {32, 32, 3}, 0.01},
      {"resnet-18", {}, {32, 32, 3}, 0.02},
      {"resnet-50", {{"shortcut", "C"}}, {32, 32, 3}, 0.02},
      {"plain-20", {}, {16, 16, 3}, 0.05},
      {"resnet-20", {{"shortcut", "B"}}, {16, 16, 3}, 0.05},
      {"wide-resnet-10-2", {{"dropout", "0.1"}}, {16, 16, 3}, 0.05},
      {"densenet-bc-22-6", {}, {16, 16, 3}, 0.05},
      {"densenet-13-6", {{"dropout", "0.1"}}, {16, 16, 3}, 0.05},
      {"googlenet", {{"stem", "3x3"}, {"width", "0.25"}, {"normalization", "batch-norm"}}, {32, 32, 3}, 0.05},
      {"highway-10", {}, {8, 8, 1}, 0.05},
      {"highway-conv-8", {}, {16, 16, 1}, 0.05},
      {"fractalnet-10", {{"width", "8"}, {"dropout", "0"}}, {32, 32, 3}, 0.05},
      {"resnet-20", {{"stochastic-depth", "0.3"}}, {16, 16, 3}, 0.05}};
  for (const auto& [name, options, image, rate] : nets) {
    const std::vector<double> losses = losses_of(name, options, image, rate);
    EXPECT_LT(losses.back(), 0.7 * losses.front()) << name;
  }
}

}  // namespace
}  // namespace convoy
