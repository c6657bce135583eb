// convoy doctor: what happened to a run, which rank, why.
#include <fmt/format.h>

#include "core/tensor/error.h"
#include "launch/commands/commands.h"
#include "launch/doctor/diagnose.h"
#include "launch/errors.h"

namespace convoy {
namespace {

int doctor(const Config& config) {
  const auto run = config.get<std::filesystem::path>("path");
  if (run.empty()) throw UsageError("path is missing: convoy doctor RUN, a run's folder");
  const Verdict verdict = diagnose(gather_evidence(run, config.get<bool>("verify")));
  fmt::print("{}", config.get<std::string>("format") == "json" ? to_json(verdict) : to_text(verdict));
  return kDone;
}

}  // namespace

Command doctor_command() {
  return {"doctor",
          "what happened to a run, which rank, why",
          {{.path = "doctor",
            .summary = "what happened to a run, which rank, why",
            .usage = "doctor RUN [--verify] [--format=json]",
            .description =
                "RUN is a run's folder (runs/NAME), of a run that has ended, died or is going on. The first line is the "
                "verdict. Then: what every rank did when it was last seen, what to type next, and how earlier lives of the "
                "run ended.\n\n"
                "It reads files alone and works on any machine that sees the folder: status.json, the flight recorder's "
                "files in RUN/watch (what each rank is doing, copied fifty times a second, readable after kill -9), the "
                "run's lock, checkpoints, metrics.jsonl and the SLURM script's lives.log. Times are those of the hosts' "
                "own clocks.\n\n"
                "Exit status 0 where there is a verdict, 2 where RUN is no run's folder.",
            .examples = "convoy doctor runs/lenet\n"
                        "convoy doctor runs/lenet --format=json",
            .positional = "path",
            .run = doctor}}};
}

}  // namespace convoy
