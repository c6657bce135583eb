#include "launch/train/resume.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/tensor/error.h"
#include "distributed/agreement.h"
#include "io/library_version.h"
#include "launch/commands/version.h"
#include "launch/layer_options.h"
#include "launch/preflight.h"
#include "launch/train/agreement.h"
#include "launch/train/init_from.h"
#include "launch/train/plans.h"

namespace convoy {

std::optional<FoundCheckpoint> find_checkpoint(const Config& config, const RunFolder& folder, std::vector<std::string>& warnings) {
  const std::string wanted = config.get<std::string>("resume");
  if (wanted.empty()) return std::nullopt;
  const bool latest = wanted == "latest";
  if (!latest && !std::filesystem::is_directory(wanted)) return FoundCheckpoint{read_checkpoint(wanted), wanted};
  const std::filesystem::path named(wanted);
  const CheckpointFolder checkpoints =
      latest ? folder.checkpoints()
             : CheckpointFolder(std::filesystem::is_directory(named / "checkpoints") ? named / "checkpoints" : named);
  auto found = checkpoints.newest_valid(warnings);
  if (!found && !warnings.empty())
    throw DataError(fmt::format("none of the run's checkpoints is whole: {}. Move them away, or give another --run, to "
                                "begin anew",
                                fmt::join(warnings, "; ")));
  if (!found && !latest) throw DataError(fmt::format("--resume={}: there is no checkpoint in this folder", wanted));
  if (!found) return std::nullopt;
  return FoundCheckpoint{std::move(found->second), found->first.string()};
}

bool lies_in(const RunFolder& folder, const std::filesystem::path& file) {
  return std::filesystem::weakly_canonical(file).parent_path() == std::filesystem::weakly_canonical(folder.path() / "checkpoints");
}

void check_record(const Config& config, const Checkpoint& checkpoint, const RunRecord& record, const std::string& file,
                  Progress& progress) {
  RunRecord saved = checkpoint.run_record;
  forgive_more_plans(saved, record);
  const std::vector<std::string> differences = compare_run_records(saved, record);
  if (!differences.empty() && !config.get<bool>("allow-changed"))
    throw UsageError(fmt::format("{}: the run record differs, so the bits would: {}. Give what the checkpoint was made "
                                 "with, or --allow-changed to go on without that promise",
                                 file, fmt::join(differences, "; ")));
  for (const std::string& difference : differences) progress.say("resume", "bits are no longer guaranteed: " + difference);
}

void check_same_record(Communicator& all, const RunRecord& record) {
  std::string text;
  for (const auto& [name, value] : record) text += fmt::format("{} = {}\n", name, value);
  check_agreement(all, "run record", text);
}

namespace {

/// Rank 0. A run that goes on needs the file no longer: its first values are behind it, and the record names them.
void take_initial_values(const Config& config, const std::optional<FoundCheckpoint>& found, ModelState& state,
                         std::string& initial_digest, Progress& progress) {
  if (found) {
    const RunRecord& record = found->checkpoint.run_record;
    initial_digest = record.contains("init-from") ? record.at("init-from") : "";
    return;
  }
  std::vector<std::string> passed_over;
  const std::string file = resolve_checkpoint(config.get<std::filesystem::path>("init-from"), &passed_over).string();
  for (const std::string& damage : passed_over) progress.say("init", "passed over, damaged: " + damage);
  const Checkpoint checkpoint = read_checkpoint(file);
  const std::string digest = digest_of(checkpoint);
  if (!initial_digest.empty() && digest != initial_digest)
    throw DataError(fmt::format("{}: the digest is {}, but this run began with the values of {}; bring that checkpoint back", file,
                                digest, initial_digest));
  initial_digest = digest;
  progress.say("init", sentence_of(take_values(state, checkpoint, layer_patterns(config, "init-from-layers"), file), file));
}

}  // namespace

ModelState first_state(const Config& config, const Graph& graph, const UpdateGraph& update, std::uint64_t seed, Communicator& all,
                       const RunFolder* folder, const std::optional<FoundCheckpoint>& found, std::string& initial_digest,
                       Progress& progress) {
  ModelState state = initial_state(graph, update, seed, all);
  if (config.get<std::string>("init-from").empty()) return state;
  agree(all, "the initial values", [&] {
    if (folder) take_initial_values(config, found, state, initial_digest, progress);
  });
  initial_digest = all.broadcast_string(initial_digest, 0);
  broadcast_state(state, all);
  begin_averages(state);
  return state;
}

std::string describe_data(const DatasetInfo& data, const Dataset* validation) {
  return fmt::format("{} training samples of {} {} in {} shards, {} classes; {}", data.samples, name_of(data.dtype),
                     data.sample.str(), data.shards, data.class_names.size(),
                     validation ? fmt::format("{} for validation", validation->info().samples) : "no validation split");
}

std::string describe_model(const Graph& graph, const RunSpec& spec, std::size_t bytes) {
  std::int64_t parameters = 0;
  for (Value parameter : graph.with_role(Role::parameter)) parameters += graph.shape(parameter).elements();
  return fmt::format("{}: {} parameters; batch {} in {} micro-batches of {}; {:.1f} MiB per rank", spec.task.model, parameters,
                     spec.batch, spec.virtual_workers, spec.task.micro_batch, static_cast<double>(bytes) / (1 << 20));
}

std::string describe_world(const Config& config, const Team& team, const Backend& backend, const std::string& computes) {
  std::string library;
  for (const auto& [name, value] : backend.identity()) library += fmt::format(", {} {}", name, value);
  const std::string hosts = describe_hosts(team.all().all_gather_strings(team.host()));
  const std::string job = describe_job(process_environment());
  return fmt::format("{}, {}; {} backend in {}{}; {}, HDF5 {}, convoy {}{}", hosts, computes, backend.name(),
                     config.get<std::string>("precision"), library, World::library_version(), hdf5_version(), convoy_version(),
                     job.empty() ? "" : "; " + job);
}

}  // namespace convoy
