#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "io/checkpoint.h"
#include "io/checkpoint_format.h"

namespace convoy {

std::vector<std::string> compare_run_records(const RunRecord& saved, const RunRecord& current) {
  std::vector<std::string> differences;
  for (const auto& [name, value] : saved) {
    const auto now = current.find(name);
    if (now == current.end())
      differences.push_back(fmt::format("{}: the checkpoint has \"{}\", this run has no such entry", name, value));
    else if (now->second != value)
      differences.push_back(fmt::format("{}: the checkpoint has \"{}\", this run \"{}\"", name, value, now->second));
  }
  for (const auto& [name, value] : current)
    if (!saved.contains(name))
      differences.push_back(fmt::format("{}: the checkpoint has no such entry, this run has \"{}\"", name, value));
  return differences;
}

namespace checkpoint_format {

std::string to_json(const RunRecord& record) {
  try {
    return nlohmann::json(record).dump(2);
  } catch (const nlohmann::json::exception& error) {
    throw UsageError(fmt::format("checkpoint: the run record is not UTF-8: {}", error.what()));
  }
}

RunRecord run_record_from_json(std::string_view text) {
  try {
    return nlohmann::json::parse(text).get<RunRecord>();
  } catch (const nlohmann::json::exception& error) {
    throw DataError(fmt::format("not a JSON object of strings: {}", error.what()));
  }
}

}  // namespace checkpoint_format
}  // namespace convoy
