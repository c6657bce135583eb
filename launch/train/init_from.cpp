#include "launch/train/init_from.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

#include "core/graph/layer_names.h"
#include "core/tensor/error.h"

namespace convoy {
namespace {

std::string described(const Tensor& tensor) { return fmt::format("{} {}", name_of(tensor.dtype()), tensor.shape().str()); }

void take_group(std::map<std::string, Tensor>& into, const std::map<std::string, Tensor>& from,
                const std::vector<std::string>& patterns, InitReport& report) {
  for (auto& [name, tensor] : into) {
    if (!matches_any(patterns, layer_of(name))) continue;
    const auto found = from.find(name);
    if (found == from.end()) {
      report.absent.push_back(name);
    } else if (found->second.shape() != tensor.shape() || found->second.dtype() != tensor.dtype()) {
      report.reshaped.push_back(fmt::format("{} {} (here {})", name, described(found->second), described(tensor)));
    } else {
      std::memcpy(tensor.bytes(), found->second.bytes(), tensor.size_bytes());
      report.taken.push_back(name);
    }
  }
}

std::string remainder(const InitReport& report) {
  std::string text;
  if (!report.reshaped.empty())
    text += fmt::format("; of another shape there, and so left at their first values: {}", fmt::join(report.reshaped, ", "));
  if (!report.absent.empty())
    text += fmt::format("; not there, and so left at their first values: {}", fmt::join(report.absent, ", "));
  return text;
}

}  // namespace

InitReport take_values(ModelState& state, const Checkpoint& checkpoint, const std::vector<std::string>& patterns,
                       const std::string& file) {
  InitReport report;
  take_group(state.parameters, checkpoint.parameters, patterns, report);
  take_group(state.state, checkpoint.state, patterns, report);
  if (report.taken.empty())
    throw UsageError(fmt::format("init-from: nothing in {} fits the layers {} of this model{}. Name a checkpoint of the same "
                                 "model, or other init-from-layers",
                                 file, fmt::join(patterns, ", "), remainder(report)));
  return report;
}

std::string sentence_of(const InitReport& report, const std::string& file) {
  const std::size_t asked = report.taken.size() + report.absent.size() + report.reshaped.size();
  return fmt::format("{} of {} parameters and statistics from {}{}", report.taken.size(), asked, file, remainder(report));
}

}  // namespace convoy
