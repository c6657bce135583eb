#pragma once
// What `convoy plan` prints.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "launch/plan/planner.h"

namespace convoy {

/// As text. One number of ranks: memory, modes, buckets, saves; several: a line for each.
std::string plan_text(const Planner& planner, const std::vector<RankPlan>& plans, const Config& config, const Cluster* cluster);
nlohmann::ordered_json plan_json(const Planner& planner, const std::vector<RankPlan>& plans, const Config& config);

}  // namespace convoy
