#include "launch/commands/bench_ceiling.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace convoy {

Ceiling measure_ceiling(const Graph& micro_batch, const std::vector<Value>& leaves, const Graph& update, int micro_batches,
                        const Backend& backend, int threads) {
  const std::vector<OpGroup> often = group_ops(micro_batch, backend, {.outside = leaves});
  const std::vector<OpGroup> once = group_ops(update, backend, {});
  const std::set<DType> types = product_types(often);
  const std::vector<DType> listed(types.begin(), types.end());
  Ceiling ceiling;
  ceiling.limits = measure_limits(backend, listed, {.threads = threads});
  ceiling.seconds = micro_batches * ceiling_seconds(often, ceiling.limits) + ceiling_seconds(once, ceiling.limits);
  return ceiling;
}

std::string describe(const Limits& limits) {
  std::string text = "limits here: ";
  for (const auto& [type, rate] : limits.multiply_adds_per_second)
    text += fmt::format("{:.0f} GFLOP/s in {}, ", 2e-9 * rate, name_of(type));
  return text + fmt::format("{:.0f} GB/s", 1e-9 * limits.bytes_per_second);
}

nlohmann::ordered_json to_json(const Limits& limits) {
  nlohmann::ordered_json json = {{"bytes_per_second", limits.bytes_per_second}};
  for (const auto& [type, rate] : limits.multiply_adds_per_second)
    json["flops_per_second"][std::string(name_of(type))] = 2 * rate;
  return json;
}

std::string describe(const Ceiling& ceiling, double seconds) {
  return fmt::format("{}; every kernel at its limit: {:.3f} ms a step, of which this is {:.0f} %", describe(ceiling.limits),
                     1e3 * ceiling.seconds, 100 * ceiling.seconds / seconds);
}

void add_ceiling(nlohmann::ordered_json& json, const Ceiling& ceiling, double seconds) {
  json["limits"] = to_json(ceiling.limits);
  json["ceiling_seconds"] = ceiling.seconds;
  json["share_of_ceiling"] = ceiling.seconds / seconds;
}

}  // namespace convoy
