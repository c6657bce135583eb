#pragma once
// Options that only some values of another option have a use for.
#include <string>
#include <vector>

#include "launch/config.h"

namespace convoy {

/// Whether it has another value than it would have had.
bool is_set(const Config& config, const char* option);

struct OptionUse {
  const char* option;
  std::vector<std::string> values;  // of the option that decides
};

/// Options that have their standard values wherever the deciding option has another value than those; UsageError else.
void check_uses(const Config& config, const char* deciding, const std::vector<OptionUse>& uses);

}  // namespace convoy
