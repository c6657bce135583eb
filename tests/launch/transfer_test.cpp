// Names and layouts of networks in other programs, and the ONNX graph.
#include <gtest/gtest.h>

#include <cstring>

#include "core/tensor/error.h"
#include "launch/transfer/onnx_graph.h"
#include "launch/transfer/weights.h"

namespace convoy {
namespace {

Task task_of(const std::string& model, std::map<std::string, std::string> options = {}) {
  const ModelEntry& entry = find_model(model);
  Task task;
  task.model = model;
  task.options = std::move(options);
  task.classes = entry.classes;
  task.micro_batch = 1;
  task.image = entry.input;
  return task;
}

/// Distinct numbers, so that a wrong permutation shows.
void number(ModelState& state) {
  float next = 1;
  for (auto* group : {&state.parameters, &state.state})
    for (auto& [name, tensor] : *group)
      for (float& value : tensor.values<float>()) value = next += 0.5f;
}

std::set<std::string> names_in(const Task& task) {
  const InferenceGraph inference = build_inference_graph(task);
  const Twin twin = find_twin(task, inference.graph);
  std::set<std::string> names;
  std::size_t tensors = 0;
  for (const OutsideTensor& tensor : outside_tensors(inference.graph)) {
    names.insert(outside_name(tensor, twin));
    ++tensors;
  }
  EXPECT_EQ(names.size(), tensors) << task.model << ": two tensors of one name";
  std::size_t kept = 0;
  for (const ValueInfo& value : inference.graph.values())
    kept += value.role == Role::parameter || value.role == Role::state || value.role == Role::constant;
  EXPECT_EQ(tensors, kept) << task.model << ": a tensor is left out";
  return names;
}

TEST(OutsideNames, AreOneToOneAndCompleteForEveryNetwork) {
  for (const ModelEntry& model : models()) {
    if (model.name == "resnet-1202") continue;  // resnet-110 ten times over
    names_in(task_of(model.name));
  }
}

TEST(OutsideNames, AreTorchvisions) {
  const auto expect = [](const Task& task, const char* twin, std::size_t tensors, std::initializer_list<const char*> some) {
    const std::set<std::string> names = names_in(task);
    EXPECT_EQ(find_twin(task, build_inference_graph(task).graph).name, twin);
    EXPECT_EQ(names.size(), tensors);  // of state_dict() in torchvision 0.14, less num_batches_tracked
    for (const char* name : some) EXPECT_TRUE(names.contains(name)) << twin << ": " << name;
  };
  expect(task_of("resnet-18"), "resnet18", 102, {"conv1.weight", "bn1.running_var", "layer2.0.downsample.1.bias", "fc.bias"});
  expect(task_of("resnet-50", {{"stride-on", "3x3"}}), "resnet50", 267, {"layer1.0.downsample.0.weight", "layer4.2.bn3.running_mean"});
  expect(task_of("alexnet-2014"), "alexnet", 16, {"features.10.weight", "classifier.1.weight", "classifier.6.bias"});
  expect(task_of("googlenet", {{"variant", "library"}}), "googlenet", 287,
         {"conv3.bn.running_mean", "inception3a.branch4.1.conv.weight", "inception5b.branch2.0.bn.weight", "fc.weight"});
  expect(task_of("vgg-16"), "vgg16", 32, {"features.28.weight", "classifier.0.weight", "classifier.6.bias"});
  expect(task_of("vgg-11", {{"normalization", "batch-norm"}}), "vgg11_bn", 54, {"features.26.running_mean", "features.25.bias"});
  expect(task_of("densenet-121"), "densenet121", 606,
         {"features.conv0.weight", "features.denseblock4.denselayer16.norm2.running_var", "features.transition3.conv.weight",
          "features.norm5.weight", "classifier.bias"});
}

TEST(OutsideNames, ANetworkThatComputesSomethingElseIsNoTwin) {
  const auto why_not = [](const Task& task) { return find_twin(task, build_inference_graph(task).graph).why_not; };
  EXPECT_NE(why_not(task_of("googlenet")).find("--model.variant=library"), std::string::npos);
  EXPECT_NE(why_not(task_of("alexnet")).find("alexnet-2014"), std::string::npos);
  EXPECT_NE(why_not(task_of("resnet-50")).find("--model.stride-on=3x3"), std::string::npos);
  EXPECT_NE(why_not(task_of("resnet-18", {{"shortcut", "A"}})).find("--model.shortcut=B"), std::string::npos);
  EXPECT_NE(why_not(task_of("resnet-20")).find("torchvision has no resnet-20"), std::string::npos);
  Task small = task_of("vgg-11");
  small.image = Shape{64, 64, 3};
  EXPECT_NE(why_not(small).find("224 to 255"), std::string::npos);
}

TEST(Weights, ComeBackAsTheyWent) {
  for (const char* model : {"resnet-18", "lenet-5", "mlp"}) {
    const Task task = task_of(model);
    const InferenceGraph inference = build_inference_graph(task);
    ModelState saved = state_for_inference(inference.graph, 1), loaded = state_for_inference(inference.graph, 1);
    number(saved);
    take_weights(weights_of(saved, task, inference.graph, 7), task, inference.graph, "a", loaded);
    for (const auto& [name, tensor] : saved.parameters)
      EXPECT_EQ(std::memcmp(tensor.bytes(), loaded.parameters.at(name).bytes(), tensor.size_bytes()), 0) << name;
    for (const auto& [name, tensor] : saved.state)
      EXPECT_EQ(std::memcmp(tensor.bytes(), loaded.state.at(name).bytes(), tensor.size_bytes()), 0) << name;
  }
}

TEST(Weights, ColumnsBehindAMapCountChannelsFirst) {
  Graph graph;
  graph.training = false;
  const Value x = graph.add_input("images", {1, 2, 3, 4}, DType::f32);
  dense(graph, x, "fc", {.units = 1, .bias = false});
  const OutsideTensor what = outside_tensors(graph).at(0);
  Tensor weights(Shape{1, 24}, DType::f32);
  for (int h = 0; h < 2; ++h)
    for (int w = 0; w < 3; ++w)
      for (int c = 0; c < 4; ++c) weights.values<float>()[static_cast<std::size_t>((h * 3 + w) * 4 + c)] = static_cast<float>(100 * c + 10 * h + w);
  const Tensor out = to_outside(weights, what);
  for (int c = 0, i = 0; c < 4; ++c)
    for (int h = 0; h < 2; ++h)
      for (int w = 0; w < 3; ++w) EXPECT_EQ(out.values<float>()[static_cast<std::size_t>(i++)], 100 * c + 10 * h + w);
}

TEST(Weights, WhatDoesNotFitIsBadData) {
  const Task task = task_of("resnet-18");
  const InferenceGraph inference = build_inference_graph(task);
  ModelState state = state_for_inference(inference.graph, 1);
  const Safetensors good = weights_of(state, task, inference.graph, 0);
  const auto expect = [&](const Safetensors& bad, const std::string& says) {
    try {
      take_weights(bad, task, inference.graph, "a.safetensors", state);
      ADD_FAILURE() << says;
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find(says), std::string::npos) << error.what();
    }
  };
  Safetensors missing = good, more = good, shape = good, whole = good, model = good, options = good;
  missing.tensors.erase("layer1.0.conv1.weight");
  expect(missing, "there is no tensor layer1.0.conv1.weight for stage1/block1/conv1/filters");
  more.tensors["extra"] = Tensor(Shape{3}, DType::f32);
  expect(more, "extra [3] has no place in resnet-18");
  shape.tensors["fc.weight"] = Tensor(Shape{10, 512}, DType::f32);
  expect(shape, "fc.weight is float32 [10, 512] where fc/weights takes real numbers [1000, 512]");
  whole.tensors["fc.bias"] = Tensor(Shape{1000}, DType::i32);
  expect(whole, "fc.bias is int32");
  model.metadata["convoy.model"] = "resnet-34";
  expect(model, "holds resnet-34");
  options.metadata["convoy.options"] = "shortcut=C";
  expect(options, "shortcut=C");
  EXPECT_NO_THROW(take_weights(good, task, inference.graph, "a", state));
}

TEST(Onnx, EveryNetworkHasAForm) {
  for (const ModelEntry& model : models()) {
    if (model.name == "resnet-1202") continue;
    Task task = task_of(model.name);
    if (model.input[0] > 64 && model.name.find("vgg") == std::string::npos) task.image = Shape{64, 64, 3};
    const InferenceGraph inference = build_inference_graph(task);
    const OnnxModel onnx = onnx_model(inference, state_for_inference(inference.graph, 1), task);
    std::set<std::string> known{"images"};
    for (const auto& [name, tensor] : onnx.constants) EXPECT_TRUE(known.insert(name).second) << name;
    for (const OnnxNode& node : onnx.nodes) {
      for (const std::string& input : node.inputs) EXPECT_TRUE(known.contains(input)) << model.name << ": " << input;
      for (const std::string& output : node.outputs) EXPECT_TRUE(known.insert(output).second) << model.name << ": " << output;
    }
    EXPECT_EQ(onnx.nodes.back().outputs.front(), "logits") << model.name;
  }
}

TEST(Onnx, AnOpWithoutAFormIsRefusedWithItsLayer) {
  Graph graph;
  graph.training = false;
  const Value x = graph.add_input("images", {1, 8, 8, 3}, DType::f32);
  const Value y = conv(graph, x, "mirrored", {.channels = 2, .kernel = 3, .pad_mode = PadMode::symmetric});
  const InferenceGraph inference{graph, x, x, y};
  try {
    onnx_model(inference, state_for_inference(graph, 1), task_of("mlp"));
    ADD_FAILURE() << "was exported";
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("layer mirrored"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace convoy
