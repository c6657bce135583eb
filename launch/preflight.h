#pragma once
// Before a run starts: did the launcher start what its user meant? SLURM, PMIx, PMI and mpirun tell what they started in
// environment variables. Where MPI does not understand its launcher, every process becomes a world of one and trains
// alone, all of them the same run.
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace convoy {

/// The value of an environment variable; none where it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

/// Rank 0, or no rank at all: from what launchers tell, before MPI runs.
bool speaks_before_mpi(const Environment& environment);

/// Before MPI starts, for some MPIs end the process there with a page of their own. Throws UsageError for a process that
/// would be a world of one in a SLURM step or job of several tasks, or in a step that this MPI ("Open MPI v4.1.4") cannot
/// start from. An explicit `mpirun -n 1` is what its user wants.
void check_launch(const Environment& environment, const std::string& mpi_library);

/// After MPI has started: what is wrong where the world has another size than the launcher said; none: nothing.
std::optional<std::string> launch_mismatch(const Environment& environment, int world_size, const std::string& mpi_library);

/// "SLURM job 17, life 2"; lives count from 0 as SLURM_RESTART_COUNT does. Empty outside a job.
std::string describe_job(const Environment& environment);

/// One name for each rank: "4 ranks on 2 hosts (n1: 3, n2: 1)"; the first eight hosts are named.
std::string describe_hosts(const std::vector<std::string>& host_of_rank);

}  // namespace convoy
