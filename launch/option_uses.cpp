#include "launch/option_uses.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/tensor/error.h"
#include "launch/options.h"

namespace convoy {

bool is_set(const Config& config, const char* option) {
  const std::string standard = find_option(config.command(), option)->value;
  return config.get<std::string>(option) != standard;
}

void check_uses(const Config& config, const char* deciding, const std::vector<OptionUse>& uses) {
  const auto chosen = config.get<std::string>(deciding);
  for (const OptionUse& use : uses) {
    if (!is_set(config, use.option) || std::find(use.values.begin(), use.values.end(), chosen) != use.values.end()) continue;
    throw UsageError(fmt::format("{} = {} belongs to {} = {}, but that is {}", use.option, config.get<std::string>(use.option),
                                 deciding, fmt::join(use.values, " or "), chosen));
  }
}

}  // namespace convoy
