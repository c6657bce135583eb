// Whole update programs over several steps: against the formulas of the papers in double, written down once more here, and
// against torch.optim where Debian's python3-torch is installed.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "core/backend/backend.h"
#include "core/graph/program.h"
#include "core/ops/guard_math.h"
#include "core/optim/scalars.h"
#include "core/optim/update_program.h"
#include "core/random/philox.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

constexpr std::int64_t kSizes[] = {1500, 7};  // weights, which decay, and biases, which do not
constexpr double kSamples = 4, kRate = 0.1;
constexpr int kSteps = 12;

using Values = std::vector<double>;

Values random_values(std::int64_t n, std::uint64_t seed) {
  Values values;
  for (std::int64_t i = 0; i < n; ++i)
    values.push_back(static_cast<double>(static_cast<float>(RandomKey(seed, "optimizers").normal(static_cast<std::uint64_t>(i)))));
  return values;
}
/// Sum over the samples of a step, of tensor 0 or 1.
Values gradient_of(int step, int tensor) { return random_values(kSizes[tensor], static_cast<std::uint64_t>(10 * step + tensor + 100)); }
Values first_weights(int tensor) { return random_values(kSizes[tensor], static_cast<std::uint64_t>(tensor + 1)); }

/// The update program on the cpu backend, in floats.
class UnderTest {
 public:
  explicit UnderTest(const OptimizerOptions& options) : backend_(make_cpu_backend()) {
    Graph graph(DType::f32);
    std::vector<ParameterGradient> gradients;
    for (int tensor = 0; tensor < 2; ++tensor) {
      const Value parameter = graph.add_parameter(name(tensor), {kSizes[tensor]}, {.decay = tensor == 0});
      gradients.push_back({parameter, graph.add_input(fmt::format("d{}", tensor), {kSizes[tensor]}, DType::f32)});
    }
    update_ = build_update_graph(graph, gradients, options, 1, {.bucket_elements = {kBucket}, .guard = {}});
    program_ = std::make_unique<Program>(update_.graph, *backend_, ProgramOptions{});
    bucket_.resize(kBucket);
    program_->bind_memory(update_.scalars, scalars_);
    program_->bind_memory(update_.weight, &bucket_.back());
    program_->bind_memory(update_.buckets.front(), bucket_.data());
    for (int tensor = 0; tensor < 2; ++tensor) bind(tensor);
    math::set_loss_scale(1, scalars_);
  }

  /// Of the gradients as they are, or of infinite ones.
  void step(int step, bool finite = true) {
    for (int tensor = 0; tensor < 2; ++tensor)
      std::ranges::copy(gradient_of(step, tensor), bucket_.begin() + (tensor ? kSizes[0] : 0));
    if (!finite) bucket_.front() = INFINITY;
    bucket_.back() = static_cast<float>(kSamples);
    scalars_[kLearningRate] = kRate;
    scalars_[kWanted] = 1;
    program_->run();
  }
  Values weights(int tensor) const { return widened(weights_[tensor]); }
  Values average(int tensor) const { return widened(averages_[tensor]); }
  double updates() const { return scalars_[kUpdates]; }
  static std::string name(int tensor) { return tensor == 0 ? "fc/weights" : "fc/bias"; }

 private:
  static constexpr std::int64_t kBucket = 1500 + 7 + 1;
  static Values widened(const std::vector<float>& values) { return {values.begin(), values.end()}; }
  static std::vector<float> narrowed(const Values& values) { return {values.begin(), values.end()}; }

  void bind(int tensor) {
    const UpdateGraph::Parameter& parameter = update_.parameters[static_cast<std::size_t>(tensor)];
    weights_[tensor] = averages_[tensor] = narrowed(first_weights(tensor));
    program_->bind_memory(parameter.weight, weights_[tensor].data());
    program_->bind_memory(parameter.gradient, bucket_.data() + (tensor ? kSizes[0] : 0));
    for (std::size_t slot = 0; slot < parameter.slots.size(); ++slot) {
      slots_[tensor][slot].assign(static_cast<std::size_t>(kSizes[tensor]), 0);
      program_->bind_memory(parameter.slots[slot].value, slots_[tensor][slot].data());
    }
    if (!update_.averages.empty())
      program_->bind_memory(update_.averages[static_cast<std::size_t>(tensor)].average, averages_[tensor].data());
  }

  std::unique_ptr<Backend> backend_;
  UpdateGraph update_;
  std::unique_ptr<Program> program_;
  double scalars_[kStepScalars] = {};
  std::vector<float> bucket_, weights_[2], averages_[2], slots_[2][2];
};

double norm(const Values& values) { return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0)); }

/// The same in double, from the papers' formulas.
class Expected {
 public:
  explicit Expected(const OptimizerOptions& options) : o_(options) {
    for (int tensor = 0; tensor < 2; ++tensor) {
      w_[tensor] = first_weights(tensor);
      first_[tensor].resize(w_[tensor].size());
      second_[tensor].resize(w_[tensor].size());
    }
  }
  void step(int step) {
    ++t_;
    Values gradients[2];
    double squares = 0;
    for (int tensor = 0; tensor < 2; ++tensor) {
      gradients[tensor] = gradient_of(step, tensor);
      for (double& g : gradients[tensor]) {
        g /= kSamples;
        squares += g * g;
      }
    }
    const double clip = o_.clip_norm > 0 ? std::min(1.0, o_.clip_norm / std::sqrt(squares)) : 1;
    for (int tensor = 0; tensor < 2; ++tensor) {
      for (double& g : gradients[tensor]) {
        g *= clip;
        if (o_.clip_value > 0) g = std::clamp(g, -o_.clip_value, o_.clip_value);
      }
      update(tensor, gradients[tensor]);
    }
  }
  const Values& weights(int tensor) const { return w_[tensor]; }

 private:
  void update(int tensor, const Values& gradient) {
    const double decay = tensor == 0 ? o_.decay : 0;
    double rate = kRate;
    if (const auto factor = o_.rate_factors.find(UnderTest::name(tensor)); factor != o_.rate_factors.end()) rate *= factor->second;
    double local = 1;
    if (o_.rule == Optimizer::lars && tensor == 0)
      local = o_.trust * norm(w_[tensor]) / (norm(gradient) + decay * norm(w_[tensor]));
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      double &w = w_[tensor][i], &a = first_[tensor][i], &b = second_[tensor][i];
      const double g = gradient[i] + (o_.decoupled ? 0 : decay * w);
      if (o_.decoupled) w *= 1 - rate * decay;
      if (o_.rule == Optimizer::sgd) {
        a = o_.momentum * a + g;
        w -= rate * (o_.nesterov ? g + o_.momentum * a : a);
      } else if (o_.rule == Optimizer::lars) {
        a = o_.momentum * a + rate * local * g;
        w -= a;
      } else if (o_.rule == Optimizer::rmsprop) {
        a = o_.rho * a + (1 - o_.rho) * g * g;
        b = o_.momentum * b + rate / std::sqrt(a + o_.epsilon) * g;
        w -= b;
      } else if (o_.rule == Optimizer::adagrad) {
        a += g * g;
        w -= rate * g / (std::sqrt(a) + o_.epsilon);
      } else {
        a = o_.beta1 * a + (1 - o_.beta1) * g;
        b = o_.beta2 * b + (1 - o_.beta2) * g * g;
        w -= rate * (a / (1 - std::pow(o_.beta1, t_))) / (std::sqrt(b / (1 - std::pow(o_.beta2, t_))) + o_.epsilon);
      }
    }
  }

  OptimizerOptions o_;
  double t_ = 0;
  Values w_[2], first_[2], second_[2];
};

void expect_near(const Values& found, const Values& expected, double bound, const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], bound) << what << ", element " << i;
}

struct Case {
  std::string name;
  OptimizerOptions options;
  std::string torch;  // the optimizer's call; empty: torch has none like it
};

std::vector<Case> cases() {
  using enum Optimizer;
  std::vector<Case> all;
  const auto add = [&](const char* name, const OptimizerOptions& options, const char* torch) {
    all.push_back({name, options, torch});
  };
  add("sgd", {.rule = sgd, .decay = 1e-2}, "SGD(p, lr=0.1, momentum=0.9)");
  add("nesterov", {.rule = sgd, .nesterov = true, .decay = 1e-2}, "SGD(p, lr=0.1, momentum=0.9, nesterov=True)");
  add("clip-norm", {.rule = sgd, .decay = 1e-2, .clip_norm = 2}, "SGD(p, lr=0.1, momentum=0.9)");
  add("clip-value", {.rule = sgd, .decay = 1e-2, .clip_value = 0.1}, "SGD(p, lr=0.1, momentum=0.9)");
  add("adam", {.rule = adam, .decay = 1e-2}, "Adam(p, lr=0.1)");
  add("adam of other betas", {.rule = adam, .beta1 = 0.5, .beta2 = 0.9, .epsilon = 1e-3},
      "Adam(p, lr=0.1, betas=(0.5, 0.9), eps=1e-3)");
  add("adamw", {.rule = adam, .decay = 1e-2, .decoupled = true}, "AdamW(p, lr=0.1)");
  // torch has epsilon outside the root: the same where it is small
  add("rmsprop", {.rule = rmsprop, .decay = 1e-2, .epsilon = 1e-20}, "RMSprop(p, lr=0.1, alpha=0.9, eps=1e-10, momentum=0.9)");
  add("rmsprop of Inception", {.rule = rmsprop, .epsilon = 1}, "");
  add("rmsprop without momentum", {.rule = rmsprop, .momentum = 0, .epsilon = 1e-20}, "RMSprop(p, lr=0.1, alpha=0.9, eps=1e-10)");
  add("adagrad", {.rule = adagrad, .decay = 1e-2, .epsilon = 1e-10}, "Adagrad(p, lr=0.1)");
  add("lars", {.rule = lars, .decay = 1e-2, .trust = 0.02}, "");
  add("lars with clip-norm", {.rule = lars, .decay = 1e-2, .trust = 0.02, .clip_norm = 2}, "");
  OptimizerOptions slower{.rule = sgd};
  slower.rate_factors["fc/bias"] = 0.25;
  add("rate factor", slower, "");
  return all;
}

TEST(Optimizers, FollowTheFormulasOverStepsAndSkipWhatIsNotFinite) {
  for (const Case& c : cases()) {
    UnderTest program(c.options);
    Expected formulas(c.options);
    for (int step = 0; step < kSteps; ++step) {
      if (step % 4 == 2) program.step(step, false);  // changes nothing, counts nothing
      program.step(step);
      formulas.step(step);
      EXPECT_EQ(program.updates(), step + 1) << c.name;
    }
    for (int tensor = 0; tensor < 2; ++tensor) {
      EXPECT_GT(std::abs(program.weights(tensor).front() - first_weights(tensor).front()), 1e-6) << c.name;
      expect_near(program.weights(tensor), formulas.weights(tensor), 2e-5, c.name);
    }
  }
}

TEST(Optimizers, AverageWhatTheyAppliedAlone) {
  for (const bool ema : {false, true}) {
    UnderTest program({.rule = Optimizer::sgd,
                       .average = ema ? AverageKind::ema : AverageKind::polyak,
                       .average_decay = 0.7,
                       .average_from = 4});
    Values average = first_weights(0), sum(average.size());
    for (int step = 0; step < kSteps; ++step) {
      if (step % 4 == 2) program.step(step, false);
      program.step(step);
      const Values w = program.weights(0);
      const double t = step + 1, decay = std::min(0.7, (1 + t) / (10 + t));
      for (std::size_t i = 0; i < w.size(); ++i) {
        if (step >= 4) sum[i] += w[i];
        average[i] = ema ? decay * average[i] + (1 - decay) * w[i] : step < 4 ? w[i] : sum[i] / (step - 3);
      }
      expect_near(program.average(0), average, 3e-6, fmt::format("ema {} step {}", ema, step));
    }
  }
}

TEST(Optimizers, BeginThePolyakAverageWithTheWeightsThemselves) {
  UnderTest program({.average = AverageKind::polyak, .average_from = 3});
  for (int step = 0; step < 4; ++step) {
    program.step(step);
    EXPECT_EQ(program.average(0), program.weights(0)) << step;
  }
  program.step(4);
  EXPECT_NE(program.average(0), program.weights(0));
}

/// The part of a Python script that makes the same steps and prints the weights.
std::string torch_script(const Case& c) {
  std::string text = "w = []\n";
  for (int tensor = 0; tensor < 2; ++tensor)
    text += fmt::format("w.append(torch.nn.Parameter(torch.tensor([{}])))\n", fmt::join(first_weights(tensor), ","));
  text += fmt::format("p = [dict(params=[w[0]], weight_decay={}), dict(params=[w[1]], weight_decay=0.0)]\n", c.options.decay);
  text += "o = torch.optim." + c.torch + "\n";
  for (int step = 0; step < kSteps; ++step) {
    for (int tensor = 0; tensor < 2; ++tensor)
      text += fmt::format("w[{}].grad = torch.tensor([{}]) / 4\n", tensor, fmt::join(gradient_of(step, tensor), ","));
    if (c.options.clip_norm > 0) text += fmt::format("torch.nn.utils.clip_grad_norm_(w, {})\n", c.options.clip_norm);
    if (c.options.clip_value > 0) text += fmt::format("torch.nn.utils.clip_grad_value_(w, {})\n", c.options.clip_value);
    text += "o.step()\n";
  }
  return text + "print(*w[0].tolist(), *w[1].tolist())\n";
}

Values printed_by(const std::string& script) {
  const std::string file = testing::TempDir() + fmt::format("convoy_optimizers_{}.py", static_cast<const void*>(&script));
  std::ofstream(file) << script;
  std::FILE* pipe = popen(("/usr/bin/python3 '" + file + "'").c_str(), "r");
  std::string text;
  for (int c = pipe ? std::fgetc(pipe) : EOF; c != EOF; c = std::fgetc(pipe)) text += static_cast<char>(c);
  EXPECT_TRUE(pipe != nullptr && pclose(pipe) == 0) << file;
  std::remove(file.c_str());
  std::istringstream words(text);
  Values values;
  for (double value; words >> value;) values.push_back(value);
  return values;
}

TEST(Optimizers, AreThoseOfTorch) {
  if (std::system("/usr/bin/python3 -c 'import torch' 2>/dev/null") != 0)
    GTEST_SKIP() << "/usr/bin/python3 with torch (Debian: python3-torch) is not installed";
  std::string script = "import torch\ntorch.set_default_dtype(torch.float64)\n";
  for (const Case& c : cases())
    if (!c.torch.empty()) script += torch_script(c);
  const Values printed = printed_by(script);
  auto next = printed.begin();
  for (const Case& c : cases()) {
    if (c.torch.empty()) continue;
    UnderTest program(c.options);
    for (int step = 0; step < kSteps; ++step) program.step(step);
    Values found = program.weights(0);
    std::ranges::copy(program.weights(1), std::back_inserter(found));
    ASSERT_GE(printed.end() - next, static_cast<std::ptrdiff_t>(found.size())) << c.name;
    expect_near(found, Values(next, next + static_cast<std::ptrdiff_t>(found.size())), 2e-5, c.name);
    next += static_cast<std::ptrdiff_t>(found.size());
  }
  EXPECT_EQ(next, printed.end());
}

}  // namespace
}  // namespace convoy
