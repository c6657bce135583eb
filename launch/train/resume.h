#pragma once
// How any run begins, whatever its mode: the checkpoint that it goes on from, its first values, and what its first lines say.
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "io/run_folder.h"
#include "launch/train/model_state.h"
#include "launch/train/progress.h"
#include "launch/train/run_spec.h"
#include "launch/train/team.h"

namespace convoy {

struct FoundCheckpoint {
  Checkpoint checkpoint;
  std::string file;
};

/// What --resume names, verified. None: there is no checkpoint to go on from. Where there are some and all are damaged, to begin
/// anew is not ours to decide: DataError.
std::optional<FoundCheckpoint> find_checkpoint(const Config& config, const RunFolder& folder, std::vector<std::string>& warnings);

/// Whether a checkpoint is one of the run's own.
bool lies_in(const RunFolder& folder, const std::filesystem::path& file);

/// UsageError with the differences where the run would not give the bits of the checkpoint's, unless --allow-changed.
void check_record(const Config& config, const Checkpoint& checkpoint, const RunRecord& record, const std::string& file,
                  Progress& progress);

/// Collective: UsageError on every rank where they would run with different records.
void check_same_record(Communicator& all, const RunRecord& record);

/// Collective: what a run begins with where it does not go on from a checkpoint: first values by the seed, or --init-from's.
/// `folder`: rank 0's, null on the others. `initial_digest` becomes that of --init-from's checkpoint; it is what the run began
/// with where it begins anew in the midst of its life.
ModelState first_state(const Config& config, const Graph& graph, const UpdateGraph& update, std::uint64_t seed, Communicator& all,
                       const RunFolder* folder, const std::optional<FoundCheckpoint>& found, std::string& initial_digest,
                       Progress& progress);

std::string describe_data(const DatasetInfo& data, const Dataset* validation);
/// `bytes`: that a rank takes.
std::string describe_model(const Graph& graph, const RunSpec& spec, std::size_t bytes);
/// Collective. `computes`: who does it, in words.
std::string describe_world(const Config& config, const Team& team, const Backend& backend, const std::string& computes);

}  // namespace convoy
