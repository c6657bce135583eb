#include "support/gradient_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/backend/backend.h"
#include "core/graph/initialize.h"
#include "core/graph/passes.h"
#include "core/graph/program.h"
#include "core/random/philox.h"
#include "support/run_op.h"

namespace convoy::test {
namespace {

/// The constants of the projection have names that no test uses.
Value project(Graph& graph, Value y) {
  const Value target = graph.add_constant("projection/target", graph.shape(y), {});
  const Value weights = graph.add_constant("projection/weights", {graph.shape(y)[0]}, {});
  const double elements = static_cast<double>(graph.shape(y).elements());
  return graph.add(OpKind::mean_squared, LossAttributes{.scale = elements}, {y, target, weights});
}

/// Values of everything that the caller of a program binds, by value id.
class Bindings {
 public:
  Bindings(const Graph& graph, const GradientCheck& check) {
    for (int id = 0; id < static_cast<int>(graph.values().size()); ++id) {
      const ValueInfo& value = graph.values()[static_cast<std::size_t>(id)];
      if (value.role == Role::activation || value.role == Role::gradient) continue;
      tensors_[id] = values_for(value, check);
    }
  }
  void bind(Program& program) {
    for (auto& [id, tensor] : tensors_) program.bind_memory({id}, tensor.bytes());
  }
  std::span<double> of(Value value) { return tensors_.at(value.id).values<double>(); }

 private:
  std::map<int, Tensor> tensors_;

  static Tensor values_for(const ValueInfo& value, const GradientCheck& check) {
    if (const auto given = check.given.find(value.name); given != check.given.end())
      return given->second.clone();
    if (value.desc.dtype != DType::f64) throw std::logic_error("the test must give values for " + value.name);
    const std::uint64_t seed = RandomKey(check.seed, "gradient check").child(name_key(value.name)).raw();
    if (value.name == "projection/weights") {
      Tensor weights(value.desc.shape, DType::f64);
      for (std::int64_t n = 0; n < weights.elements(); ++n)
        weights.values<double>()[static_cast<std::size_t>(n)] =
            0.5 + RandomKey(seed, "weights").uniform_double(static_cast<std::uint64_t>(n));
      return weights;
    }
    return check.distinct && value.role == Role::parameter ? distinct_tensor(value.desc.shape, seed)
                                                           : random_tensor(value.desc.shape, seed);
  }
};

std::vector<double> central_differences(Program& program, Value loss, std::span<double> parameter,
                                        double step) {
  std::vector<double> differences;
  for (double& element : parameter) {
    const double before = element;
    const double high = before + step, low = before - step;
    element = high;
    program.run();
    const double above = *program.data<double>(loss);
    element = low;
    program.run();
    const double below = *program.data<double>(loss);
    element = before;
    differences.push_back((above - below) / (high - low));
  }
  return differences;
}

}  // namespace

WorstElement worst_element(std::span<const double> analytic, std::span<const double> numeric) {
  double largest = 0;
  for (std::size_t i = 0; i < analytic.size(); ++i)
    largest = std::max({largest, std::abs(analytic[i]), std::abs(numeric[i])});
  WorstElement worst;
  for (std::size_t i = 0; i < analytic.size(); ++i) {
    const double scale = std::max({std::abs(analytic[i]), std::abs(numeric[i]), largest / 100});
    const double error = scale == 0 ? 0 : std::abs(analytic[i] - numeric[i]) / scale;
    if (i == 0 || !(error <= worst.error)) worst = {i, analytic[i], numeric[i], error};  // NaN is worst of all
    if (std::isnan(error)) break;
  }
  return worst;
}

void expect_gradients(const Build& build, const GradientCheck& check) {
  Graph forward(DType::f64);
  Value loss = build(forward);
  if (!check.returns_loss) loss = project(forward, loss);
  Graph both = forward;
  const std::vector<ParameterGradient> gradients = differentiate(both, loss);
  ASSERT_EQ(gradients.size(), forward.with_role(Role::parameter).size()) << "a parameter has no gradient";
  ASSERT_FALSE(gradients.empty()) << "the test has no parameter";

  ProgramOptions keep_loss{.keep = {loss}}, keep_all = keep_loss;
  for (const ParameterGradient& entry : gradients) keep_all.keep.push_back(entry.gradient);
  const std::unique_ptr<Backend> backend = make_reference_backend();
  Program forward_program(forward, *backend, keep_loss), program(both, *backend, keep_all);
  Bindings bindings(forward, check);
  bindings.bind(forward_program);
  bindings.bind(program);
  std::vector<Tensor> added;  // constants of gradient rules
  for (Value constant : both.with_role(Role::constant))
    if (constant.id >= static_cast<int>(forward.values().size()))
      program.bind_memory(constant, added.emplace_back(initial_value(both.info(constant), check.seed)).bytes());
  program.run();
  for (const ParameterGradient& entry : gradients) {
    const std::span<double> parameter = bindings.of(entry.parameter);
    const std::span<const double> analytic(program.data<double>(entry.gradient), parameter.size());
    const std::vector<double> numeric = central_differences(forward_program, loss, parameter, check.step);
    const WorstElement worst = worst_element(analytic, numeric);
    EXPECT_LE(worst.error, check.bound)
        << "gradient of \"" << forward.info(entry.parameter).name << "\" "
        << forward.shape(entry.parameter).str() << ", element " << worst.index << ": rule " << worst.analytic
        << ", central difference " << worst.numeric << ", relative error " << worst.error << " (seed "
        << check.seed << ", step " << check.step << ")";
    EXPECT_TRUE(check.may_vanish ||
                std::any_of(analytic.begin(), analytic.end(), [](double value) { return value != 0; }))
        << "the gradient of \"" << forward.info(entry.parameter).name
        << "\" is zero everywhere: nothing was tested";
  }
}

}  // namespace convoy::test
