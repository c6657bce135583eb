// The update program as a whole: it applies itself only where what was reduced is finite, wanted, and not halted.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "core/backend/backend.h"
#include "core/graph/program.h"
#include "core/ops/guard_math.h"
#include "core/optim/scalars.h"
#include "core/optim/update_program.h"

namespace convoy {
namespace {

constexpr std::int64_t kElements = 1040;  // more than a block of the guard's, and no multiple of it
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// One parameter of kElements, whose bucket holds its gradient, the sum of weights, and 16 places of padding.
class Update : public testing::Test {
 protected:
  Update() : backend_(make_cpu_backend()), bucket_(kElements + 32), weights_(kElements, 1), velocities_(kElements) {}

  void build(const GuardAttributes& guard) {
    Graph micro_batch(DType::f32);
    const Value parameter = micro_batch.add_parameter("w", {kElements}, {});
    const Value gradient = micro_batch.add_input("gradient", {kElements}, DType::f32);
    update_ = build_update_graph(micro_batch, {{parameter, gradient}}, {.momentum = 0.5}, 1,
                                 {.bucket_elements = {kElements + 32}, .guard = guard});
    program_ = std::make_unique<Program>(update_.graph, *backend_, ProgramOptions{});
    program_->bind_memory(update_.scalars, scalars_.data());
    program_->bind_memory(update_.weight, bucket_.data() + kElements);
    program_->bind_memory(update_.buckets.front(), bucket_.data());
    program_->bind_memory(update_.parameters.front().weight, weights_.data());
    program_->bind_memory(update_.parameters.front().slots.front().value, velocities_.data());
    program_->bind_memory(update_.parameters.front().gradient, bucket_.data());
    math::set_loss_scale(1, scalars_.data());
  }

  /// A step whose gradients are all `gradient`, of 4 samples, at rate 0.5.
  void step(float gradient, bool wanted = true) {
    std::fill_n(bucket_.begin(), kElements, gradient);
    bucket_[kElements] = 4;
    scalars_[kLearningRate] = 0.5;
    scalars_[kWanted] = wanted ? 1 : 0;
    program_->run();
  }
  float loss_scale_as_read() const {
    float scale = 0;
    std::memcpy(&scale, &scalars_[kLossScaleFloat], sizeof scale);
    return scale;
  }

  std::unique_ptr<Backend> backend_;
  UpdateGraph update_;
  std::unique_ptr<Program> program_;
  std::vector<double> scalars_ = std::vector<double>(kStepScalars);
  std::vector<float> bucket_, weights_, velocities_;
};

TEST_F(Update, DividesByTheWeightsThatWereSummed) {
  build({.halts = true});
  step(8);
  EXPECT_EQ(weights_.front(), 1 - 0.5F * 8 / 4);
  EXPECT_EQ(weights_.back(), weights_.front());
  EXPECT_EQ(scalars_[kApply], 1);
}

TEST_F(Update, ChangesNothingAfterAStepThatIsNotFiniteUntilItMayGoOn) {
  build({.halts = true});
  step(8);
  const std::vector<float> weights = weights_, velocities = velocities_;
  bucket_[kElements + 20] = 0;
  for (float bad : {kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
    step(bad);
    EXPECT_EQ(scalars_[kFinite], 0);
    EXPECT_EQ(scalars_[kHalted], 1);
    step(8);  // a step that was under way already
    EXPECT_EQ(scalars_[kFinite], 1);
    EXPECT_EQ(scalars_[kApply], 0);
    EXPECT_EQ(weights_, weights);
    EXPECT_EQ(velocities_, velocities);
    scalars_[kHalted] = 0;
  }
  step(8);
  EXPECT_NE(weights_, weights);
}

TEST_F(Update, SeesOneBadElementAnywhere) {
  build({.halts = true});
  for (std::size_t at : {std::size_t{0}, std::size_t{1023}, std::size_t{1024}, static_cast<std::size_t>(kElements) + 31}) {
    std::fill(bucket_.begin(), bucket_.end(), 1.0F);
    bucket_[at] = -kInfinity;
    scalars_[kWanted] = 1;
    scalars_[kHalted] = 0;
    program_->run();
    EXPECT_EQ(scalars_[kFinite], 0) << at;
    bucket_[at] = 1;
    scalars_[kHalted] = 0;
    program_->run();
    EXPECT_EQ(scalars_[kFinite], 1) << at;
  }
}

TEST_F(Update, LeavesOutStepsThatAreNotWantedWithoutHalting) {
  build({.halts = true});
  step(kInfinity, false);
  EXPECT_EQ(scalars_[kApply], 0);
  EXPECT_EQ(scalars_[kHalted], 0);
  EXPECT_EQ(weights_, std::vector<float>(kElements, 1));
}

TEST_F(Update, HalvesTheLossScaleOnOverflowAndHaltsAtOneOnly) {
  build({.scaling = true, .most = 8, .growth_every = 2, .halts = true});
  math::set_loss_scale(4, scalars_.data());
  step(32);  // scaled by 4
  EXPECT_EQ(weights_.front(), 1 - 0.5F * 8 / 4);
  const std::vector<float> weights = weights_;
  for (double expected : {2.0, 1.0}) {
    step(kInfinity);
    EXPECT_EQ(scalars_[kLossScale], expected);
    EXPECT_EQ(loss_scale_as_read(), static_cast<float>(expected));
    EXPECT_EQ(scalars_[kHalted], 0);
    EXPECT_EQ(weights_, weights);
  }
  step(kInfinity);
  EXPECT_EQ(scalars_[kHalted], 1);
  EXPECT_EQ(scalars_[kLossScale], 1);
}

TEST_F(Update, DoublesTheLossScaleAfterFiniteStepsUpToTheLargest) {
  build({.scaling = true, .most = 4, .growth_every = 2, .halts = true});
  for (double expected : {1.0, 2.0, 2.0, 4.0, 4.0, 4.0}) {
    step(1);
    EXPECT_EQ(scalars_[kLossScale], expected);
    EXPECT_EQ(loss_scale_as_read(), static_cast<float>(expected));
  }
}

}  // namespace
}  // namespace convoy
