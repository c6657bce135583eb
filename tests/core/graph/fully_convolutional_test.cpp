// Dense layers as convolutions: the map of logits of a large image holds those of its crops.
#include <gtest/gtest.h>

#include <cstring>

#include "core/backend/backend.h"
#include "core/graph/initialize.h"
#include "core/graph/layers.h"
#include "core/graph/program.h"
#include "support/run_op.h"

namespace convoy::test {
namespace {

constexpr std::int64_t kCrop = 10, kWhole = 14, kClasses = 5;

/// The map moves by two pixels of the image: the stride of the pooling.
Value build(Graph& graph, Value x) {
  x = relu(graph, conv(graph, x, "conv", {.channels = 4, .kernel = 3, .padding = PadRule::valid}));
  x = pool(graph, x, {.kernel = 2, .stride = 2});
  x = relu(graph, dense(graph, x, "hidden", {.units = 7}));
  return dense(graph, x, "output", {.units = kClasses});
}

/// Runs the graph on one image; the same names get the same numbers whatever their shapes.
std::vector<double> logits_of(const Graph& graph, Value x, Value y, const Tensor& image) {
  const auto backend = make_reference_backend();
  Program program(graph, *backend, {.keep = {y}});
  std::vector<Tensor> held;
  std::uint64_t seed = 1;
  for (Value parameter : graph.with_role(Role::parameter)) {
    held.push_back(random_tensor(graph.shape(parameter), ++seed));
    program.bind_memory(parameter, held.back().bytes());
  }
  Tensor input = image;
  program.bind_memory(x, input.bytes());
  program.run();
  const double* values = program.data<double>(y);
  return {values, values + graph.shape(y).elements()};
}

Tensor crop(const Tensor& image, std::int64_t row, std::int64_t column) {
  Tensor part(Shape{1, kCrop, kCrop, 2}, DType::f64);
  for (std::int64_t r = 0; r < kCrop; ++r)
    std::memcpy(part.bytes() + r * kCrop * 2 * 8, image.bytes() + ((row + r) * kWhole + column) * 2 * 8, kCrop * 2 * 8);
  return part;
}

struct Net {
  Graph graph{DType::f64};
  Value x, y;
};

Net at_crop() {
  Net net;
  net.x = net.graph.add_input("x", {1, kCrop, kCrop, 2}, DType::f64);
  net.y = build(net.graph, net.x);
  return net;
}

/// The net of at_crop() as a convolution over a square image.
Net convolutional(const Net& trained, std::int64_t extent) {
  Net net;
  net.graph.dense_inputs = trained.graph.dense_inputs;
  net.graph.fully_convolutional = true;
  net.x = net.graph.add_input("x", {1, extent, extent, 2}, DType::f64);
  net.y = build(net.graph, net.x);
  return net;
}

TEST(FullyConvolutional, HoldsTheLogitsOfEveryCropOfALargerImage) {
  const Net trained = at_crop(), whole = convolutional(trained, kWhole);
  ASSERT_EQ(whole.graph.shape(whole.y), (Shape{1, 3, 3, kClasses}));
  for (Value parameter : trained.graph.with_role(Role::parameter))
    EXPECT_EQ(whole.graph.shape(whole.graph.find(trained.graph.info(parameter).name)), trained.graph.shape(parameter));

  const Tensor image = random_tensor({1, kWhole, kWhole, 2}, 99);
  const std::vector<double> of_whole = logits_of(whole.graph, whole.x, whole.y, image);
  for (std::int64_t row = 0; row < 3; ++row)
    for (std::int64_t column = 0; column < 3; ++column) {
      const std::vector<double> expected = logits_of(trained.graph, trained.x, trained.y, crop(image, 2 * row, 2 * column));
      for (std::int64_t c = 0; c < kClasses; ++c)
        EXPECT_NEAR(of_whole[static_cast<std::size_t>((row * 3 + column) * kClasses + c)],
                    expected[static_cast<std::size_t>(c)], 1e-10)
            << "crop at " << 2 * row << ", " << 2 * column;
    }
}

TEST(FullyConvolutional, IsTheSameNetAtTheTrainedExtents) {
  const Net trained = at_crop(), again = convolutional(trained, kCrop);
  const Tensor image = random_tensor({1, kCrop, kCrop, 2}, 7);
  const auto expected = logits_of(trained.graph, trained.x, trained.y, image),
             found = logits_of(again.graph, again.x, again.y, image);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-10);
}

}  // namespace
}  // namespace convoy::test
