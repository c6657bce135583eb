#include "launch/train/audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "io/crc32c.h"

namespace convoy {
namespace {

struct Named {
  std::string name;
  Tensor tensor;  // shares its storage
};

/// In one order on every rank.
std::vector<Named> tensors_of(const ModelState& state) {
  std::vector<Named> all;
  const std::pair<const char*, const std::map<std::string, Tensor>*> groups[] = {
      {"parameters", &state.parameters}, {"optimizer", &state.slots}, {"state", &state.state},
      {"averages", &state.averages},
      {"constants", &state.constants}, {"copies", &state.copies}};
  for (const auto& [group, tensors] : groups)
    for (const auto& [name, tensor] : *tensors) all.push_back({fmt::format("{}/{}", group, name), tensor});
  return all;
}

AuditFinding compare(const std::string& name, const std::vector<std::uint32_t>& hashes) {
  std::map<std::uint32_t, int> votes;
  for (std::uint32_t hash : hashes) ++votes[hash];
  const auto most = std::max_element(votes.begin(), votes.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  AuditFinding finding{.tensor = name};
  const bool majority = 2 * most->second > static_cast<int>(hashes.size());
  for (int rank = 0; rank < static_cast<int>(hashes.size()); ++rank) {
    if (majority && hashes[static_cast<std::size_t>(rank)] == most->first) {
      if (finding.majority < 0) finding.majority = rank;
    } else {
      finding.ranks.push_back(rank);
    }
  }
  return finding;
}

}  // namespace

std::vector<AuditFinding> audit_state(const ModelState& state, Communicator& world, std::int64_t step) {
  if (world.size() == 1) return {};
  const std::vector<Named> tensors = tensors_of(state);
  std::vector<std::uint32_t> mine;
  for (const Named& each : tensors) mine.push_back(crc32c(each.tensor.bytes(), each.tensor.size_bytes()));
  const std::uint64_t all_of_mine = crc32c(mine.data(), mine.size() * sizeof mine[0]);
  world.at("the audit of the parameters", step);
  // The least and, as its complement, the most: equal where all are.
  std::array<std::uint64_t, 2> ends{all_of_mine, ~all_of_mine};
  world.all_reduce(std::span<std::uint64_t>(ends), ReduceOp::min);
  if (ends[0] == ~ends[1]) return {};
  std::vector<std::uint32_t> theirs(mine.size() * static_cast<std::size_t>(world.size()));
  world.all_gather(mine.data(), mine.size() * sizeof mine[0], theirs.data());
  std::vector<AuditFinding> findings;
  for (std::size_t tensor = 0; tensor < tensors.size(); ++tensor) {
    std::vector<std::uint32_t> hashes;
    for (std::size_t at = tensor; at < theirs.size(); at += tensors.size()) hashes.push_back(theirs[at]);
    if (std::adjacent_find(hashes.begin(), hashes.end(), std::not_equal_to<>()) == hashes.end()) continue;
    findings.push_back(compare(tensors[tensor].name, hashes));
  }
  return findings;
}

std::string sentence_of(const AuditFinding& finding, int ranks) {
  const std::string who = fmt::format("{} {}", finding.ranks.size() == 1 ? "rank" : "ranks",
                                      fmt::join(finding.ranks, ", "));
  if (finding.majority < 0)
    return fmt::format("{} differs between {}, and no copy has a majority", finding.tensor, who);
  return fmt::format("{} differs on {} from the {} ranks that agree", finding.tensor, who,
                     ranks - static_cast<int>(finding.ranks.size()));
}

bool repair_by_majority(ModelState& state, const std::vector<AuditFinding>& findings, Communicator& world,
                        std::int64_t step) {
  if (std::any_of(findings.begin(), findings.end(), [](const AuditFinding& f) { return f.majority < 0; })) return false;
  std::vector<Named> tensors = tensors_of(state);
  for (const AuditFinding& finding : findings) {
    const auto at = std::find_if(tensors.begin(), tensors.end(), [&](const Named& n) { return n.name == finding.tensor; });
    world.at("the repair of " + finding.tensor, step);
    world.broadcast(at->tensor.bytes(), at->tensor.size_bytes(), finding.majority);
  }
  return true;
}

}  // namespace convoy
