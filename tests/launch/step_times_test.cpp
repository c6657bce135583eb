#include "launch/train/step_times.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace convoy {
namespace {

TEST(StepTimes, SumsPartsAndStalls) {
  StepTimes times;
  times.add({.input = 1, .compute = 2, .communication = 3, .checkpoint = 0}, 7, 100);
  times.add({.input = 10, .compute = 20, .communication = 30, .checkpoint = 0.5}, 70, 200);
  times.add_checkpoint(0.25);
  const RankTimes taken = times.take();
  EXPECT_EQ(taken.steps, 2);
  EXPECT_DOUBLE_EQ(taken.parts.input, 11);
  EXPECT_DOUBLE_EQ(taken.parts.compute, 22);
  EXPECT_DOUBLE_EQ(taken.parts.communication, 33);
  EXPECT_DOUBLE_EQ(taken.parts.checkpoint, 0.75);
  EXPECT_DOUBLE_EQ(taken.seconds, 77.25);
  EXPECT_EQ(taken.arrivals[0], 100);
  EXPECT_EQ(taken.arrivals[1], 200);
  EXPECT_EQ(times.take().steps, 0);
}

TEST(StepTimes, KeepsTheLastArrivalsOldestFirst) {
  for (const int steps : {kArrivals - 1, kArrivals, kArrivals + 1, 2 * kArrivals, 2 * kArrivals + 5}) {
    StepTimes times;
    for (int step = 0; step < steps; ++step) times.add({}, 0, step);
    const RankTimes taken = times.take();
    const int kept = std::min(steps, kArrivals);
    for (int i = 0; i < kept; ++i) EXPECT_EQ(taken.arrivals[static_cast<std::size_t>(i)], steps - kept + i) << steps;
  }
}

}  // namespace
}  // namespace convoy
