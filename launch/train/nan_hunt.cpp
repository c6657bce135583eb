#include "launch/train/nan_hunt.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

namespace convoy {
namespace {

/// The first tensor that was not finite before the step began: then no sample is to blame.
std::string spoiled_tensor(const ModelState& state) {
  for (const auto* group : {&state.parameters, &state.slots, &state.state})
    for (const auto& [name, tensor] : *group) {
      if (tensor.dtype() != DType::f32) continue;
      const auto values = tensor.values<float>();
      if (std::any_of(values.begin(), values.end(), [](float value) { return !std::isfinite(value); })) return name;
    }
  return "";
}

std::string sentence_of(const NotFinite& found, const Dataset& data, const std::string& rank) {
  std::string text = fmt::format("the first {} came from the op {}", std::isnan(found.value) ? "NaN" : "infinity", found.op);
  if (!found.layer.empty()) text += fmt::format(" of layer \"{}\"", found.layer);
  if (found.index >= 0)
    text += fmt::format(", for sample {} ({})", found.id, data.where(found.index));
  else
    text += fmt::format(" in micro-batch {}", found.leaf);
  return text + fmt::format(", on rank {}", rank);
}

}  // namespace

std::string find_not_finite(StepEngine& engine, const ModelState& state, const Dataset& data, Loader& loader,
                            Communicator& world, std::int64_t step) {
  if (const std::string name = spoiled_tensor(state); !name.empty())  // the same on every rank
    return fmt::format("{} was not finite before this step already", name);
  const std::vector<NotFinite> found = engine.replay(step, loader);
  nlohmann::json mine = nlohmann::json::array();
  for (const NotFinite& each : found)
    mine.push_back({each.leaf, each.place, sentence_of(each, data, std::to_string(world.rank()))});
  world.at("the replay of the step that was not finite", step + 1);
  std::vector<std::tuple<int, int, std::string>> all;
  std::set<int> leaves;
  for (const std::string& text : world.all_gather_strings(mine.dump()))
    for (const auto& each : nlohmann::json::parse(text)) {
      all.emplace_back(each[0].get<int>(), each[1].get<int>(), each[2].get<std::string>());
      leaves.insert(each[0].get<int>());
    }
  if (all.empty())
    return "no micro-batch gives such a value when the step is replayed: their sum overflowed, or a bit flipped in "
           "memory or on the wire";
  const std::string& first = std::get<2>(*std::min_element(all.begin(), all.end()));
  return leaves.size() == 1 ? first : fmt::format("{}; {} micro-batches of the step have such values", first, leaves.size());
}

}  // namespace convoy
