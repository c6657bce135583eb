#include "launch/train/traffic.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "launch/train/save_times.h"

namespace convoy {

Traffic sum_over_ranks(const Traffic& own, Communicator& world, std::int64_t step) {
  std::array<std::int64_t, 4> bytes{own.gradients, own.averages, own.sums, own.activations};
  std::array<double, 2> seconds{own.waited_seconds, own.seconds};
  world.at("the ranks' traffic", step);
  world.all_reduce(std::span<std::int64_t>(bytes), ReduceOp::sum);
  world.all_reduce(std::span<double>(seconds), ReduceOp::sum);
  return {bytes[0], bytes[1], bytes[2], bytes[3], seconds[0], seconds[1]};
}

std::string sentence_of(const Traffic& all, int ranks, std::int64_t steps) {
  const std::pair<const char*, std::int64_t> parts[] = {
      {"gradients", all.gradients}, {"averages", all.averages}, {"losses", all.sums}, {"activations", all.activations}};
  std::string kinds;
  std::int64_t sent = 0;
  for (const auto& [name, bytes] : parts) {
    if (bytes > 0) kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", name, readable_bytes(bytes));
    sent += bytes;
  }
  return fmt::format("{} sent by {} ranks ({}), {:.1f} kB a rank and step; {:.1f} % of the steps' time was spent waiting for it",
                     readable_bytes(sent), ranks, kinds, 1e-3 * static_cast<double>(sent) / static_cast<double>(steps * ranks),
                     100 * all.waited_seconds / all.seconds);
}

}  // namespace convoy
