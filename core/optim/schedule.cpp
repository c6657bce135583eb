#include "core/optim/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "core/tensor/error.h"

namespace convoy {
namespace {

using Kind = Schedule::Kind;

constexpr std::array<std::pair<std::string_view, Kind>, 5> kNames{{{"constant", Kind::constant},
                                                                   {"step", Kind::step},
                                                                   {"poly", Kind::poly},
                                                                   {"cosine", Kind::cosine},
                                                                   {"exponential", Kind::exponential}}};

void require(bool holds, std::string_view field, std::string_view expected, double found) {
  if (!holds)
    throw UsageError(fmt::format("learning-rate schedule: {} must be {}, found {}", field, expected, found));
}

void validate_drops(const Schedule& schedule) {
  require(schedule.every_epochs >= 0, "the step's length in epochs", "positive",
          static_cast<double>(schedule.every_epochs));
  const bool regular = schedule.every_epochs > 0, listed = !schedule.milestones.empty();
  if (regular == listed)
    throw UsageError(
        fmt::format("learning-rate schedule 'step': give either the epochs between two drops or the list "
                    "of milestones, found {}",
                    regular ? "both" : "neither"));
  std::int64_t previous = 0;
  for (const std::int64_t milestone : schedule.milestones) {
    if (milestone <= previous)
      throw UsageError(
          fmt::format("learning-rate schedule 'step': milestones must be positive and ascending, found {} "
                      "after {}",
                      milestone, previous));
    previous = milestone;
  }
  const std::int64_t first = regular ? schedule.every_epochs : schedule.milestones.front();
  if (static_cast<double>(first) < schedule.warmup_epochs)
    throw UsageError(
        fmt::format("learning-rate schedule 'step': the first drop, at epoch {}, lies within the {} epochs "
                    "of warm-up; drop later or warm up for less",
                    first, schedule.warmup_epochs));
}

void check(const Schedule& schedule, const Moment& moment) {
  const auto number = [](std::int64_t x) { return static_cast<double>(x); };
  require(moment.step >= 0, "the step", "0 or more", number(moment.step));
  require(moment.batch >= 1, "the global batch", "at least 1", number(moment.batch));
  require(moment.samples >= 1, "the number of samples in an epoch", "at least 1", number(moment.samples));
  if (depends_on_length(schedule))
    require(moment.total_steps >= 1, "the run's length in steps", "at least 1", number(moment.total_steps));
}

// By multiplication: pow may round differently on another machine, and exponents are small.
double integer_power(double base, std::int64_t exponent) {
  double product = 1;
  for (std::int64_t i = 0; i < exponent && product > 0; ++i) product *= base;
  return product;
}

std::int64_t drops(const Schedule& schedule, std::int64_t epoch) {
  if (schedule.every_epochs > 0) return epoch / schedule.every_epochs;
  return std::upper_bound(schedule.milestones.begin(), schedule.milestones.end(), epoch) -
         schedule.milestones.begin();
}

double warmup_steps(const Schedule& schedule, const Moment& moment) {
  return schedule.warmup_epochs * static_cast<double>(moment.samples) / static_cast<double>(moment.batch);
}

// Share of the run after the warm-up that is over, within [0, 1].
double progress(const Schedule& schedule, const Moment& moment) {
  const double warmup = warmup_steps(schedule, moment);
  const double done = static_cast<double>(moment.step) - warmup;
  const double length = static_cast<double>(moment.total_steps) - warmup;
  if (done <= 0) return 0;
  return length > done ? done / length : 1;
}

double ramp(const Schedule& schedule, const Moment& moment) {
  const double steps = warmup_steps(schedule, moment);
  if (schedule.constant_warmup) return static_cast<double>(moment.step) < steps ? schedule.warmup_start : 1;
  const auto reached = static_cast<double>(moment.step + 1);
  if (reached >= steps) return 1;
  return schedule.warmup_start + (1 - schedule.warmup_start) * (reached / steps);
}

double decay(const Schedule& schedule, const Moment& moment) {
  switch (schedule.kind) {
    case Kind::constant:
      return 1;
    case Kind::step:
      return integer_power(schedule.gamma, drops(schedule, moment.whole_epochs()));
    case Kind::exponential:
      return std::pow(schedule.gamma, std::max(0.0, moment.epoch() - schedule.warmup_epochs));
    case Kind::poly:
      return std::pow(1 - progress(schedule, moment), schedule.power);
    case Kind::cosine:
      return 0.5 * (1 + std::cos(std::numbers::pi * progress(schedule, moment)));
  }
  throw UsageError("learning-rate schedule: unknown kind");
}

}  // namespace

double Moment::epoch() const {
  return static_cast<double>(step) * static_cast<double>(batch) / static_cast<double>(samples);
}

std::int64_t Moment::whole_epochs() const { return step * batch / samples; }

Schedule::Kind schedule_kind_from_name(std::string_view name) {
  std::string known;
  for (const auto& [candidate, kind] : kNames) {
    if (candidate == name) return kind;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", candidate);
  }
  throw UsageError(fmt::format("unknown learning-rate schedule '{}'; known are {}", name, known));
}

std::string_view name_of(Schedule::Kind kind) {
  for (const auto& [name, candidate] : kNames)
    if (candidate == kind) return name;
  throw UsageError("learning-rate schedule: unknown kind");
}

void validate(const Schedule& schedule) {
  require(std::isfinite(schedule.rate) && schedule.rate > 0, "the rate", "positive", schedule.rate);
  require(std::isfinite(schedule.warmup_epochs) && schedule.warmup_epochs >= 0, "the warm-up in epochs",
          "0 or more", schedule.warmup_epochs);
  require(schedule.warmup_start >= 0 && schedule.warmup_start <= 1, "the warm-up's first share of the rate",
          "within [0, 1]", schedule.warmup_start);
  if (schedule.kind == Kind::step || schedule.kind == Kind::exponential)
    require(schedule.gamma > 0 && schedule.gamma <= 1, "gamma", "within (0, 1]", schedule.gamma);
  if (schedule.kind == Kind::poly)
    require(std::isfinite(schedule.power) && schedule.power > 0, "the power", "positive", schedule.power);
  if (schedule.kind == Kind::step) validate_drops(schedule);
}

bool depends_on_length(const Schedule& schedule) {
  return schedule.kind == Kind::poly || schedule.kind == Kind::cosine;
}

double rate_at(const Schedule& schedule, const Moment& moment) {
  check(schedule, moment);
  return schedule.rate * ramp(schedule, moment) * decay(schedule, moment);
}

}  // namespace convoy
