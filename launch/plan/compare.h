#pragma once
// `convoy plan --compare=RUN`: what a run took beside what was predicted for it.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "launch/plan/planner.h"

namespace convoy {

/// What metrics.jsonl tells of a run's steps; all but the first record where there are several, for it holds the warming up.
struct ActualRun {
  int ranks = 0;
  std::int64_t steps = 0;                       // that the times are of
  double step_seconds = 0;                      // mean
  double least_seconds = 0, most_seconds = 0;   // means of single records
  double compute_seconds = 0, exposed_seconds = 0;  // means over ranks
  double booked_bytes = 0, peak_rss_bytes = 0;  // of rank 0; 0: not told
};

/// Throws DataError: no such file, or no record of training with what is needed.
ActualRun read_actual_run(const std::filesystem::path& run);

/// The config of a run's folder, as plan takes it.
Config config_of_run(const std::filesystem::path& run);

struct ComparedRow {
  std::string name;
  double predicted = 0, actual = 0;
  bool is_bytes = false;
  double error() const { return predicted / actual - 1; }  // not finite where nothing was taken
};

/// `plan`: of so many ranks as the run had; `booked`: what rank 0 of it books.
std::vector<ComparedRow> compare(const RankPlan& plan, const MemoryOfRank& booked, const ActualRun& actual);
std::string compared_text(const std::vector<ComparedRow>& rows, const ActualRun& actual);
nlohmann::ordered_json compared_json(const std::vector<ComparedRow>& rows, const ActualRun& actual);

}  // namespace convoy
