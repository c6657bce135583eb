#include "core/optim/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/tensor/error.h"

namespace convoy {
namespace {

using Kind = Schedule::Kind;

// 10 steps an epoch, 100 epochs, unless a test says otherwise.
Moment at_step(std::int64_t step) { return {.step = step, .total_steps = 1000, .batch = 100, .samples = 1000}; }
Moment at_epoch(std::int64_t epoch) { return at_step(10 * epoch); }

TEST(Schedule, StaysAtTheFirstRateThroughoutAConstantWarmUp) {
  // He et al. 2016, section 4.2: 0.01 for about 400 iterations, then 0.1.
  const Schedule schedule{.rate = 0.1, .warmup_epochs = 400 * 128 / 45000.0, .warmup_start = 0.1, .constant_warmup = true};
  const auto rate = [&](std::int64_t step) {
    return rate_at(schedule, {.step = step, .total_steps = 64000, .batch = 128, .samples = 45000});
  };
  EXPECT_DOUBLE_EQ(rate(0), 0.01);
  EXPECT_DOUBLE_EQ(rate(399), 0.01);
  EXPECT_DOUBLE_EQ(rate(400), 0.1);
}

TEST(Schedule, ConstantNeverChanges) {
  const Schedule schedule{.kind = Kind::constant, .rate = 0.05};
  for (const std::int64_t step : {0, 1, 999, 5000}) EXPECT_EQ(rate_at(schedule, at_step(step)), 0.05);
}

TEST(Schedule, StepDropsEveryFewEpochs) {
  // GoogLeNet: 4 % less every 8 epochs.
  const Schedule schedule{.kind = Kind::step, .rate = 0.01, .gamma = 0.96, .every_epochs = 8};
  EXPECT_EQ(rate_at(schedule, at_step(0)), 0.01);
  EXPECT_EQ(rate_at(schedule, at_step(79)), 0.01);
  EXPECT_EQ(rate_at(schedule, at_step(80)), 0.01 * 0.96);
  EXPECT_NEAR(rate_at(schedule, at_epoch(80)), 0.01 * std::pow(0.96, 10), 1e-16);
}

TEST(Schedule, StepDropsAtMilestones) {
  // ResNet on CIFAR: divided by 10 at two epochs.
  const Schedule schedule{.kind = Kind::step, .rate = 0.1, .gamma = 0.1, .milestones = {30, 60}};
  EXPECT_EQ(rate_at(schedule, at_step(299)), 0.1);
  EXPECT_DOUBLE_EQ(rate_at(schedule, at_step(300)), 0.01);
  EXPECT_DOUBLE_EQ(rate_at(schedule, at_step(599)), 0.01);
  EXPECT_DOUBLE_EQ(rate_at(schedule, at_step(600)), 0.001);
}

TEST(Schedule, StepReadsWholeEpochsWhereBatchesStraddleThem) {
  const Schedule schedule{.kind = Kind::step, .rate = 1, .gamma = 0.5, .every_epochs = 1};
  const auto rate = [&](std::int64_t step) {
    return rate_at(schedule, {.step = step, .total_steps = 100, .batch = 3, .samples = 10});
  };
  EXPECT_EQ(rate(3), 1);       // 9 / 10
  EXPECT_EQ(rate(4), 0.5);     // 12 / 10
  EXPECT_EQ(rate(6), 0.5);     // 18 / 10
  EXPECT_EQ(rate(10), 0.125);  // 30 / 10 exactly
}

TEST(Schedule, StepNeverReachesAPrematureEpochByRounding) {
  // Above 2^53 a double cannot tell n - 1 samples from n.
  const Schedule schedule{.kind = Kind::step, .rate = 1, .gamma = 0.5, .every_epochs = 1};
  const std::int64_t n = (std::int64_t{1} << 53) + 3;
  EXPECT_EQ(rate_at(schedule, {.step = n - 1, .total_steps = n, .batch = 1, .samples = n}), 1);
  EXPECT_EQ(rate_at(schedule, {.step = n, .total_steps = n, .batch = 1, .samples = n}), 0.5);
}

TEST(Schedule, PolyFollowsItsPower) {
  for (const double power : {0.5, 1.0, 2.0}) {
    const Schedule schedule{.kind = Kind::poly, .rate = 0.4, .power = power};
    EXPECT_EQ(rate_at(schedule, at_step(0)), 0.4);
    EXPECT_DOUBLE_EQ(rate_at(schedule, at_step(250)), 0.4 * std::pow(0.75, power));
    EXPECT_EQ(rate_at(schedule, at_step(1000)), 0);
    EXPECT_EQ(rate_at(schedule, at_step(1500)), 0);
  }
}

TEST(Schedule, CosineFallsFromTheRateToZero) {
  const Schedule schedule{.kind = Kind::cosine, .rate = 0.2};
  EXPECT_EQ(rate_at(schedule, at_step(0)), 0.2);
  EXPECT_NEAR(rate_at(schedule, at_step(250)), 0.1 * (1 + std::sqrt(0.5)), 1e-15);
  EXPECT_NEAR(rate_at(schedule, at_step(500)), 0.1, 1e-15);
  EXPECT_NEAR(rate_at(schedule, at_step(1000)), 0, 1e-15);
}

TEST(Schedule, ExponentialReadsFractionsOfEpochs) {
  const Schedule schedule{.kind = Kind::exponential, .rate = 0.1, .gamma = 0.81};
  EXPECT_EQ(rate_at(schedule, at_step(0)), 0.1);
  EXPECT_NEAR(rate_at(schedule, at_step(5)), 0.09, 1e-15);
  EXPECT_NEAR(rate_at(schedule, at_step(20)), 0.1 * 0.81 * 0.81, 1e-15);
}

TEST(Schedule, WarmupRisesLinearlyToTheRate) {
  const Schedule schedule{.kind = Kind::constant, .rate = 0.8, .warmup_epochs = 2};
  for (int step = 0; step < 20; ++step)
    EXPECT_NEAR(rate_at(schedule, at_step(step)), 0.8 * (step + 1) / 20, 1e-15) << step;
  EXPECT_EQ(rate_at(schedule, at_step(19)), 0.8);
  EXPECT_EQ(rate_at(schedule, at_step(20)), 0.8);
}

TEST(Schedule, WarmupMayStartAboveZero) {
  const Schedule schedule{.kind = Kind::constant, .rate = 0.8, .warmup_epochs = 1, .warmup_start = 0.25};
  EXPECT_NEAR(rate_at(schedule, at_step(4)), 0.8 * (0.25 + 0.75 * 0.5), 1e-15);
  EXPECT_EQ(rate_at(schedule, at_step(9)), 0.8);
}

TEST(Schedule, WarmupOfAFractionOfAnEpochEndsBetweenSteps) {
  const Schedule schedule{.kind = Kind::constant, .rate = 1, .warmup_epochs = 0.25};
  EXPECT_NEAR(rate_at(schedule, at_step(0)), 1 / 2.5, 1e-15);
  EXPECT_NEAR(rate_at(schedule, at_step(1)), 2 / 2.5, 1e-15);
  EXPECT_EQ(rate_at(schedule, at_step(2)), 1);
}

TEST(Schedule, DecayOverTheLengthStartsAfterTheWarmup) {
  const Schedule cosine{.kind = Kind::cosine, .rate = 0.2, .warmup_epochs = 20};
  EXPECT_EQ(rate_at(cosine, at_step(199)), 0.2);
  EXPECT_EQ(rate_at(cosine, at_step(200)), 0.2);
  EXPECT_NEAR(rate_at(cosine, at_step(600)), 0.1, 1e-15);
  const Schedule poly{.kind = Kind::poly, .rate = 0.2, .power = 2, .warmup_epochs = 20};
  EXPECT_NEAR(rate_at(poly, at_step(400)), 0.2 * 0.75 * 0.75, 1e-15);
  const Schedule exponential{.kind = Kind::exponential, .rate = 0.2, .gamma = 0.5, .warmup_epochs = 20};
  EXPECT_NEAR(rate_at(exponential, at_epoch(23)), 0.025, 1e-15);
}

TEST(Schedule, StepDropsAreNotShiftedByTheWarmup) {
  const Schedule schedule{
      .kind = Kind::step, .rate = 0.1, .gamma = 0.5, .milestones = {30}, .warmup_epochs = 5};
  EXPECT_EQ(rate_at(schedule, at_step(299)), 0.1);
  EXPECT_EQ(rate_at(schedule, at_step(300)), 0.05);
}

TEST(Schedule, AWarmupLongerThanTheRunIsOnlyARamp) {
  const Schedule schedule{.kind = Kind::cosine, .rate = 1, .warmup_epochs = 200};
  EXPECT_NEAR(rate_at(schedule, at_step(999)), 0.5, 1e-15);
}

TEST(Schedule, OnlyPolyAndCosineDependOnTheLength) {
  for (const Kind kind : {Kind::constant, Kind::step, Kind::poly, Kind::cosine, Kind::exponential}) {
    const Schedule schedule{.kind = kind, .rate = 0.1, .gamma = 0.5, .every_epochs = 7, .warmup_epochs = 3};
    Moment shorter = at_step(400), longer = at_step(400);
    longer.total_steps = 2000;
    EXPECT_EQ(rate_at(schedule, shorter) != rate_at(schedule, longer), depends_on_length(schedule))
        << name_of(kind);
  }
}

TEST(Schedule, KindsAreKnownByName) {
  for (const Kind kind : {Kind::constant, Kind::step, Kind::poly, Kind::cosine, Kind::exponential})
    EXPECT_EQ(schedule_kind_from_name(name_of(kind)), kind);
  try {
    schedule_kind_from_name("linear");
    FAIL() << "accepted";
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("constant, step, poly, cosine, exponential"), std::string::npos);
  }
}

TEST(Schedule, RejectsFieldsOutOfRange) {
  const double nan = std::nan("");
  EXPECT_THROW(validate({.rate = 0}), UsageError);
  EXPECT_THROW(validate({.rate = nan}), UsageError);
  EXPECT_THROW(validate({.warmup_epochs = -1}), UsageError);
  EXPECT_THROW(validate({.warmup_start = 1.5}), UsageError);
  EXPECT_THROW(validate({.kind = Kind::exponential, .gamma = 0}), UsageError);
  EXPECT_THROW(validate({.kind = Kind::exponential, .gamma = 1.1}), UsageError);
  EXPECT_THROW(validate({.kind = Kind::poly, .power = 0}), UsageError);
  EXPECT_NO_THROW(validate({.kind = Kind::constant, .gamma = 0, .power = 0}));
}

TEST(Schedule, RejectsStepsWithoutOrWithTwoRulesForDrops) {
  EXPECT_THROW(validate({.kind = Kind::step}), UsageError);
  EXPECT_THROW(validate({.kind = Kind::step, .every_epochs = 3, .milestones = {4}}), UsageError);
  EXPECT_THROW(validate({.kind = Kind::step, .every_epochs = -3}), UsageError);
  EXPECT_NO_THROW(validate({.kind = Kind::step, .every_epochs = 3}));
}

TEST(Schedule, RejectsMilestonesThatDoNotAscend) {
  EXPECT_THROW(validate({.kind = Kind::step, .milestones = {30, 30}}), UsageError);
  EXPECT_THROW(validate({.kind = Kind::step, .milestones = {60, 30}}), UsageError);
  EXPECT_THROW(validate({.kind = Kind::step, .milestones = {0}}), UsageError);
  EXPECT_NO_THROW(validate({.kind = Kind::step, .milestones = {30, 60}}));
}

TEST(Schedule, RejectsADropWithinTheWarmup) {
  EXPECT_THROW(validate({.kind = Kind::step, .milestones = {3, 60}, .warmup_epochs = 5}), UsageError);
  EXPECT_THROW(validate({.kind = Kind::step, .every_epochs = 2, .warmup_epochs = 5}), UsageError);
}

TEST(Schedule, RejectsMomentsThatAreNone) {
  const Schedule cosine{.kind = Kind::cosine}, constant{.kind = Kind::constant};
  EXPECT_THROW(rate_at(constant, {.step = -1}), UsageError);
  EXPECT_THROW(rate_at(constant, {.batch = 0}), UsageError);
  EXPECT_THROW(rate_at(constant, {.samples = 0}), UsageError);
  EXPECT_THROW(rate_at(cosine, {.total_steps = 0}), UsageError);
  EXPECT_NO_THROW(rate_at(constant, {.total_steps = 0}));
}

}  // namespace
}  // namespace convoy
