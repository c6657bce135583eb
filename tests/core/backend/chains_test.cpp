// The fuse pass makes chains of element-wise ops and changes no bit: random graphs, networks of the zoo.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/graph/layers.h"
#include "core/graph/passes.h"
#include "core/models/registry.h"
#include "support/random_chains.h"

namespace convoy::test {
namespace {

TEST(Chains, OfRandomGraphsHaveTheBitsOfTheirOps) {
  const auto backend = make_cpu_backend();
  for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
    int chains = 0;
    for (unsigned seed = 0; seed < 200; ++seed)
      chains += expect_same_bits_in_chains(*backend, random_elements(type, seed), fmt::format("{}, seed {}", name_of(type), seed));
    EXPECT_GT(chains, 150) << name_of(type);
  }
}

/// The training graph of a model before it is fused.
Network training_of(const std::string& name, const std::map<std::string, std::string>& options, Shape image, DType compute,
                    std::int64_t normalised_micro_batches) {
  Network net{Graph(), {}};
  Graph& graph = net.graph;
  graph.normalised_micro_batches = normalised_micro_batches;
  const Value x = graph.add_input("x", image, DType::f32), labels = graph.add_input("labels", {image[0]}, DType::i32),
              weights = graph.add_input("weights", {image[0]}, DType::f32);
  const ModelEntry& model = find_model(name);
  const Value logits = model.build(graph, x, 5, complete_options(model, options));
  const Value loss = graph.add(OpKind::softmax_cross_entropy, LossAttributes{}, {logits, labels, weights});
  net.leaves.push_back(loss);
  for (const ParameterGradient& entry : differentiate(graph, loss)) net.leaves.push_back(entry.gradient);
  for (const RunningStatistic& statistic : graph.running_statistics()) net.leaves.push_back(statistic.sample);
  remove_unused(graph, net.leaves);
  lower_precision(graph, compute, net.leaves);
  return net;
}

TEST(Chains, OfNetworksOfTheZooHaveTheBitsOfTheirOps) {
  const auto backend = make_cpu_backend();
  struct Case {
    const char* model;
    std::map<std::string, std::string> options;
    Shape image;
    std::int64_t normalised_micro_batches;
  };
  for (const Case& c : {Case{"lenet-5", {}, {2, 32, 32, 1}, 0}, {"resnet-20", {}, {2, 16, 16, 3}, 0},
                        {"resnet-20", {}, {2, 16, 16, 3}, 1}, {"wide-resnet-10-1", {}, {2, 16, 16, 3}, 0}})
    for (const DType compute : {DType::f32, DType::bf16, DType::f16}) {
      const std::string where = fmt::format("{} in {}", c.model, name_of(compute));
      const Network net = training_of(c.model, c.options, c.image, compute, c.normalised_micro_batches);
      EXPECT_GT(expect_same_bits_in_chains(*backend, net, where), 0) << where;
    }
}

}  // namespace
}  // namespace convoy::test
