#pragma once
// One server: keeps the slices of pushes until the order says what becomes of them, and hands out its parameters.
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "distributed/local_sums.h"
#include "distributed/server/frame.h"

namespace convoy {

/// Which push: worker and sequence.
using PushName = std::pair<std::int32_t, std::int64_t>;

/// An update: the entry of the order that applies pushes.
struct Update {
  std::int64_t version = 0;        // before it
  double rate = 0;
  std::int64_t pulled = -1;        // version that the gradient of a single push was computed at
  std::vector<PushName> pushes;    // in the order in which the fixed tree sums them
};

/// The parameters that a server owns, what the optimizer keeps for them, and the rule by which they move.
class Slice {
 public:
  virtual ~Slice() = default;
  virtual std::size_t parameters() const = 0;   // floats
  /// Floats of a slice of a push: gradients of the parameters, and what travels besides.
  virtual std::size_t leaf() const = 0;
  virtual const float* values() const = 0;
  /// One update by the sum of the leaves, which it may overwrite. `pulled`: the parameters that they were computed at, where the
  /// server keeps them; else null.
  virtual void apply(const Update& update, float* sum, const float* pulled) = 0;
  /// All that a checkpoint keeps of it.
  virtual std::size_t state() const = 0;        // floats
  virtual void write_state(float* to) const = 0;
};

/// Threads: one.
class ParameterServer {
 public:
  /// `keeps_pulled`: what workers have pulled, for Slice::apply. `slice` outlives this object.
  ParameterServer(Slice& slice, bool keeps_pulled);

  /// The slice of a push has arrived: the first leaf() floats of the payload.
  void take(const PushName& push, Payload slice);
  void drop(const PushName& push) { pushes_.erase(push); }
  /// A dead worker's: what was not applied.
  void forget(std::int32_t worker);
  /// Error where a slice is missing: the order names complete pushes only.
  void apply(const Update& update);
  /// The parameters at `version`, which is now.
  Payload pull(std::int32_t worker, std::int64_t version);
  Payload state();
  std::int64_t applied() const { return applied_; }
  /// Of the slices that wait.
  std::size_t memory_bytes() const;

 private:
  Slice& slice_;
  const bool keeps_pulled_;
  PayloadPool pool_;
  std::map<PushName, Payload> pushes_;
  std::map<std::size_t, std::unique_ptr<LocalSums>> sums_;  // by number of leaves
  Payload handed_out_;             // the parameters of handed_version_
  std::int64_t handed_version_ = -1;
  std::map<std::int32_t, std::deque<std::pair<std::int64_t, Payload>>> pulled_;  // by worker, the newest last
  std::int64_t applied_ = 0;

  float* sum_of(const std::vector<PushName>& pushes);
  const float* pulled_at(std::int32_t worker, std::int64_t version) const;
};

}  // namespace convoy
