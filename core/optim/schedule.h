#pragma once
// Learning-rate schedules as a pure function of where the run stands. No schedule has a state, so a resumed run
// reads the same rates.
#include <cstdint>
#include <string_view>
#include <vector>

namespace convoy {

/// Where a step stands in its run.
struct Moment {
  std::int64_t step = 0;         // s, the step about to be made, 0 first
  std::int64_t total_steps = 0;  // T
  std::int64_t batch = 1;        // B, samples a step
  std::int64_t samples = 1;      // N, samples an epoch

  /// Epochs done, sB / N.
  double epoch() const;
  /// floor(sB / N), exactly.
  std::int64_t whole_epochs() const;
};

/// rate_at = rate * ramp * decay. With w = warmup_epochs, epochs e = sB/N, and the decay's clock e' = max(0, e
/// - w):
///   ramp         a + (1 - a) min(1, (s + 1) B / (N w)), a = warmup_start; 1 without warm-up. Linear; the last
///   step of
///                the warm-up has the whole rate, and the first is not lost at rate 0 (Goyal et al. 2017,
///                section 2.2). Or, with constant_warmup, a while s < w N/B, then 1 (He et al. 2016, section 4.2)
///   constant     1
///   step         gamma^floor(e / every_epochs), or gamma^(number of milestones <= floor(e)). Reads e, not e':
///   drops
///                stay where the paper put them when a warm-up is added (Goyal et al. 2017)
///   exponential  gamma^e'
///   poly         (1 - p)^power,                p = (s - wN/B) / (T - wN/B), within [0, 1]
///   cosine       (1 + cos(pi p)) / 2           (Loshchilov & Hutter 2017, without restarts)
/// Only poly and cosine depend on the total length of the run: see depends_on_length.
struct Schedule {
  enum class Kind { constant, step, poly, cosine, exponential };
  Kind kind = Kind::constant;
  double rate = 0.1;                          // the rate at its highest, > 0
  double gamma = 0.1;                         // step, exponential: in (0, 1]
  std::int64_t every_epochs = 0;              // step: a drop every so many epochs; 0: at the milestones instead
  std::vector<std::int64_t> milestones = {};  // step: epochs of the drops, ascending, each > 0
  double power = 1;                           // poly: > 0
  double warmup_epochs = 0;                   // w >= 0; in front of any kind
  double warmup_start = 0;                    // a in [0, 1]
  bool constant_warmup = false;               // a until the warm-up is over
  bool operator==(const Schedule&) const = default;
};

/// "constant", "step", "poly", "cosine", "exponential"; an unknown name is a UsageError that lists them.
Schedule::Kind schedule_kind_from_name(std::string_view name);
std::string_view name_of(Schedule::Kind kind);

/// Throws UsageError naming the first field out of its range.
void validate(const Schedule& schedule);

/// Whether rates depend on total_steps, so that a run may not be lengthened without changing its bits.
bool depends_on_length(const Schedule& schedule);

/// The learning rate of a step. `schedule` has been validated; steps from total_steps on have the rate of the
/// end. Throws UsageError if the moment is none (negative step, B or N below 1, T below 1 where it matters).
double rate_at(const Schedule& schedule, const Moment& moment);

}  // namespace convoy
