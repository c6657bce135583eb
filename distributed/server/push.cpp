#include "distributed/server/push.h"

#include <cstring>

#include "core/tensor/error.h"

namespace convoy {
namespace {

/// The parts of a push that have one size. All ranks of a run are of one build, so its bytes travel as they lie.
struct Fixed {
  std::int64_t worker, sequence, units, seen, finite;
  double loss, weight, top1, top5, input_seconds, pull_seconds;
};

}  // namespace

std::vector<std::uint8_t> encode(const Push& push) {
  const Fixed fixed{push.worker, push.sequence, static_cast<std::int64_t>(push.units.size()),
                    static_cast<std::int64_t>(push.seen.size()), push.finite, push.loss, push.weight, push.top1, push.top5,
                    push.input_seconds, push.pull_seconds};
  const std::size_t units = push.units.size() * sizeof(PushedUnit), seen = push.seen.size() * sizeof(SeenSamples);
  std::vector<std::uint8_t> bytes(sizeof fixed + units + seen);
  std::memcpy(bytes.data(), &fixed, sizeof fixed);
  if (units > 0) std::memcpy(bytes.data() + sizeof fixed, push.units.data(), units);
  if (seen > 0) std::memcpy(bytes.data() + sizeof fixed + units, push.seen.data(), seen);
  return bytes;
}

Push decode(const std::uint8_t* bytes, std::size_t count) {
  Fixed fixed{};
  if (count < sizeof fixed) throw Error("a push without its description");
  std::memcpy(&fixed, bytes, sizeof fixed);
  Push push{.worker = static_cast<int>(fixed.worker), .sequence = fixed.sequence, .units = {}, .seen = {},
            .finite = fixed.finite != 0, .loss = fixed.loss, .weight = fixed.weight, .top1 = fixed.top1, .top5 = fixed.top5,
            .input_seconds = fixed.input_seconds, .pull_seconds = fixed.pull_seconds};
  push.units.resize(static_cast<std::size_t>(fixed.units));
  push.seen.resize(static_cast<std::size_t>(fixed.seen));
  const std::size_t units = push.units.size() * sizeof(PushedUnit), seen = push.seen.size() * sizeof(SeenSamples);
  if (count != sizeof fixed + units + seen) throw Error("a push whose description has another length than it says");
  if (units > 0) std::memcpy(push.units.data(), bytes + sizeof fixed, units);
  if (seen > 0) std::memcpy(push.seen.data(), bytes + sizeof fixed + units, seen);
  return push;
}

}  // namespace convoy
