#include "launch/preflight.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "core/tensor/error.h"

namespace convoy {
namespace {

/// None where the variable is missing or no number.
std::optional<int> number(const Environment& environment, const std::string& name) {
  const auto text = environment(name);
  int value = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc{}) return std::nullopt;
  return value;
}

/// Ranks came from a launcher that speaks to MPI: Open MPI's mpirun, PMIx, PMI (MPICH's mpiexec, srun --mpi=pmi2).
bool has_mpi_launcher(const Environment& environment) {
  return environment("OMPI_COMM_WORLD_SIZE") || environment("PMIX_RANK") || environment("PMI_RANK");
}

std::string job_name(const Environment& environment) {
  return fmt::format("SLURM job {}", environment("SLURM_JOB_ID").value_or("?"));
}

/// srun of several tasks, or of one that MPI would not survive.
void check_step(const Environment& environment, int tasks, const std::string& mpi_library) {
  if (tasks > 1)
    throw UsageError(fmt::format(
        "srun started {} tasks of {} without PMIx, so that each would be a world of one and train alone. Start them by "
        "`srun --mpi=pmix` (srun --mpi=list tells whether this SLURM has it), or by mpirun in the batch script, which finds "
        "the job's nodes itself",
        tasks, job_name(environment)));
  if (mpi_library.starts_with("Open MPI v4."))
    throw UsageError(fmt::format("{} does not start under srun without PMIx, not even as a single task ({}). Leave srun "
                                 "away, or start it by `srun --mpi=pmix`",
                                 mpi_library, job_name(environment)));
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value ? std::optional<std::string>(value) : std::nullopt;
  };
}

bool speaks_before_mpi(const Environment& environment) {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"})
    if (const auto rank = environment(name)) return *rank == "0";
  return true;
}

void check_launch(const Environment& environment, const std::string& mpi_library) {
  if (!environment("SLURM_JOB_ID") || has_mpi_launcher(environment)) return;
  if (const auto tasks = number(environment, "SLURM_STEP_NUM_TASKS")) return check_step(environment, *tasks, mpi_library);
  const int tasks = number(environment, "SLURM_NTASKS").value_or(1);
  const int nodes = number(environment, "SLURM_JOB_NUM_NODES").value_or(1);
  if (tasks > 1 || nodes > 1)
    throw UsageError(fmt::format("{} has {} tasks on {} nodes, but nothing started more than this one process: it would be a "
                                 "world of one and leave the rest idle. Put `mpirun` before the command (it finds the job's "
                                 "nodes itself), or `srun --mpi=pmix`; `mpirun -n 1` where one process is meant",
                                 job_name(environment), std::max(tasks, nodes), nodes));
}

std::optional<std::string> launch_mismatch(const Environment& environment, int world_size, const std::string& mpi_library) {
  struct Announced {
    const char* variable;
    const char* launcher;
    bool counts;
  };
  // The first that is set started this process; those behind it may be left over from a shell around it.
  const Announced all[] = {{"OMPI_COMM_WORLD_SIZE", "Open MPI's mpirun", true},
                           {"SLURM_STEP_NUM_TASKS", "srun with PMIx", environment("PMIX_RANK").has_value()},
                           {"PMI_SIZE", "a launcher that speaks PMI (mpiexec of MPICH or Intel MPI, srun --mpi=pmi2)", true}};
  for (const Announced& announced : all) {
    const auto size = announced.counts ? number(environment, announced.variable) : std::nullopt;
    if (!size) continue;
    if (*size == world_size) return std::nullopt;
    return fmt::format("{} started {} ranks ({}), but {}, which this binary runs with, sees a world of {}: they belong to two "
                       "MPI installations. Use the mpirun of that library, or build convoy with the MPI of this launcher",
                       announced.launcher, *size, announced.variable, mpi_library, world_size);
  }
  return std::nullopt;
}

std::string describe_job(const Environment& environment) {
  if (!environment("SLURM_JOB_ID")) return "";
  return fmt::format("{}, life {}", job_name(environment), number(environment, "SLURM_RESTART_COUNT").value_or(0));
}

std::string describe_hosts(const std::vector<std::string>& host_of_rank) {
  constexpr std::size_t kNamed = 8;
  std::vector<std::pair<std::string, int>> ranks_on;  // in the order of ranks
  for (const std::string& host : host_of_rank) {
    const auto known = std::find_if(ranks_on.begin(), ranks_on.end(), [&](const auto& entry) { return entry.first == host; });
    if (known == ranks_on.end())
      ranks_on.emplace_back(host, 1);
    else
      ++known->second;
  }
  std::string names;
  for (std::size_t i = 0; i < std::min(kNamed, ranks_on.size()); ++i)
    names += fmt::format("{}{}: {}", i ? ", " : "", ranks_on[i].first, ranks_on[i].second);
  if (ranks_on.size() > kNamed) names += fmt::format(", and {} more", ranks_on.size() - kNamed);
  return fmt::format("{} ranks on {} hosts ({})", host_of_rank.size(), ranks_on.size(), names);
}

}  // namespace convoy
