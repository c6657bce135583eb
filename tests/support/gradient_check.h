#pragma once
// Central differences against gradient rules, in double on the reference backend, through differentiate and
// Program.
//
// The loss is a fixed random projection of the op's output y: mean_squared(y, t, w) with random constants t and
// w, whose gradient 2 w (y - t) differs from element to element. With a step of 1e-5 truncation and rounding
// stay below about 1e-9 of the largest gradient, so a relative bound of 1e-6 catches any wrong factor.
#include <functional>
#include <map>
#include <span>
#include <string>

#include "core/graph/graph.h"

namespace convoy::test {

/// Adds parameters and the op to a Graph(DType::f64) and returns what is to be differentiated.
using Build = std::function<Value(Graph&)>;

struct GradientCheck {
  bool returns_loss = false;  // build returns a loss [1]; nothing is projected
  bool distinct = false;      // parameters without ties or zeros (relu, max): at least 0.6/elements apart
  bool may_vanish = false;    // a gradient that is zero everywhere is no failure (else: nothing was tested)
  /// Values by name; integer inputs must be given, reals are random otherwise.
  std::map<std::string, Tensor> given;
  std::uint64_t seed = 1;
  double step = 1e-5;
  double bound = 1e-6;
};

/// The element on which two gradients differ most, relative to the larger of the two values; values below 1/100
/// of the largest are measured against that, for they are differences of large numbers.
struct WorstElement {
  std::size_t index = 0;
  double analytic = 0;
  double numeric = 0;
  double error = 0;
};
WorstElement worst_element(std::span<const double> analytic, std::span<const double> numeric);

/// Fails the test, naming parameter, element and seed, unless every element of every parameter's gradient
/// agrees. Every parameter that `build` adds must have a gradient.
void expect_gradients(const Build& build, const GradientCheck& check = {});

}  // namespace convoy::test
