#include "launch/train/plans.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "launch/train/agreement.h"

namespace convoy {
namespace {

constexpr char kEntry[] = "backend.plans";

std::set<std::string> lines_of(const std::string& text) {
  std::set<std::string> lines;
  std::istringstream all(text);
  for (std::string line; std::getline(all, line);) lines.insert(line);
  return lines;
}

}  // namespace

void bind_alike(Communicator& world, Backend& backend, const std::string& recorded, const std::function<void()>& bind) {
  if (backend.device().is_host()) return agree(world, "the programs", bind);
  const bool chooses = world.rank() == 0;
  agree(world, "the programs", [&] {
    if (!chooses) return;
    backend.adopt_plans(recorded);
    bind();
  });
  const std::string plans = world.broadcast_string(chooses ? backend.plans() : "", 0);
  agree(world, "the programs", [&] {
    if (chooses) return;
    backend.adopt_plans(plans);
    bind();
  });
}

void record_plans(const Backend& backend, RunRecord& record) {
  if (std::string plans = backend.plans(); !plans.empty()) record[kEntry] = std::move(plans);
}

std::string recorded_plans(const RunRecord& record) {
  const auto entry = record.find(kEntry);
  return entry == record.end() ? "" : entry->second;
}

void forgive_more_plans(RunRecord& saved, const RunRecord& current) {
  const std::string now = recorded_plans(current);
  const std::set<std::string> before = lines_of(recorded_plans(saved)), all = lines_of(now);
  if (!before.empty() && std::includes(all.begin(), all.end(), before.begin(), before.end())) saved[kEntry] = now;
}

}  // namespace convoy
