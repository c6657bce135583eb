// What a program asks of its backend.
#include "core/graph/program.h"

#include <gtest/gtest.h>

#include "core/models/training.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

class NoKernel final : public Kernel {
 public:
  void run(const KernelArguments&) override {}
};

/// Counts what it is asked for; takes all kinds but one.
class CountingBackend final : public Backend {
 public:
  explicit CountingBackend(OpKind refused) : refused_(refused) {}
  std::string_view name() const override { return "counting"; }
  std::unique_ptr<Kernel> try_bind(const OpDesc& op, int, std::string* reasons) const override {
    ++asked;
    if (op.kind == refused_) return *reasons = "fast: too odd; slow: too large", nullptr;
    return std::make_unique<NoKernel>();
  }
  Device& device() const override { return *device_; }
  std::vector<std::pair<std::string, std::string>> identity() const override { return {}; }

  mutable int asked = 0;

 private:
  OpKind refused_;
  std::unique_ptr<Device> device_ = make_host_device();
};

Graph lenet() {
  Value input;
  return build_forward_graph(find_model("lenet-5"), {{"variant", "modern"}}, Shape{28, 28, 1}, 10, input);
}

/// Libraries may time their ways of computing an op when they are asked for it.
TEST(Program, AsksABackendOnceForEveryOp) {
  const Graph graph = lenet();
  const CountingBackend backend(OpKind::external);
  const Program program(graph, backend, {});
  int kernels = 0;
  for (const Op& op : graph.ops()) kernels += needs_kernel(op.kind);
  EXPECT_GT(kernels, 5);
  EXPECT_EQ(backend.asked, kernels);
}

TEST(Program, NamesTheLayerTheOpAndEveryReasonOfABackendThatDeclines) {
  const Graph graph = lenet();
  const CountingBackend backend(OpKind::dense);
  try {
    const Program program(graph, backend, {});
    FAIL() << "the backend declines";
  } catch (const UsageError& error) {
    const std::string words = error.what();
    for (const char* part : {"counting backend", "op dense", "layer \"", "fast: too odd; slow: too large"})
      EXPECT_NE(words.find(part), std::string::npos) << words;
  }
}

}  // namespace
}  // namespace convoy
