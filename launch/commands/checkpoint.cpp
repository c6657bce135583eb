// convoy checkpoint: what a run has saved.
#include "io/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "io/checkpoint_diff.h"
#include "io/checkpoint_repair.h"
#include "io/describe_checkpoint.h"
#include "io/run_lock.h"
#include "launch/commands/checkpoint_transfer.h"
#include "launch/commands/commands.h"
#include "launch/errors.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

fs::path path_of(const Config& config) {
  const auto path = config.get<fs::path>("path");
  if (path.empty()) {
    throw UsageError(
        fmt::format("path is missing: convoy {} PATH, a checkpoint file or a run's folder", config.command()));
  }
  return path;
}

bool wants_json(const Config& config) { return config.get<std::string>("format") == "json"; }

/// A run's folder, or the folder of its checkpoints.
CheckpointFolder folder_of(const fs::path& path) {
  if (!fs::is_directory(path)) {
    throw UsageError(fmt::format("path = '{}': expected a run's folder, found {}", path.string(),
                                 fs::exists(path) ? "a file" : "nothing of that name"));
  }
  if (fs::is_directory(path / "checkpoints")) return CheckpointFolder(path / "checkpoints");
  const CheckpointFolder folder(path);
  const bool belongs_to_run = fs::weakly_canonical(path).filename() == "checkpoints" || fs::exists(path / "config.cfg");
  if (!belongs_to_run && folder.steps().empty()) {
    throw UsageError(fmt::format("path = '{}': expected a run's folder, found one without checkpoints or a config.cfg",
                                 path.string()));
  }
  return folder;
}

int list(const Config& config) {
  const CheckpointFolder folder = folder_of(path_of(config));
  const std::optional<fs::path> best = folder.best();
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  std::string table;
  for (const std::int64_t step : folder.steps()) {
    const fs::path file = folder.file_for(step);
    const auto size_bytes = fs::file_size(file);
    const bool is_best = best && best->filename() == file.filename();
    rows.push_back({{"step", step}, {"bytes", size_bytes}, {"best", is_best}, {"file", file.string()}});
    table += fmt::format("{:>10}  {:>12}  {:<4}  {}\n", step, size_bytes, is_best ? "best" : "", file.string());
  }
  if (wants_json(config)) {
    fmt::print("{}\n", rows.dump(2));
  } else {
    fmt::print("{:>10}  {:>12}  {:<4}  {}\n{}", "step", "bytes", "", "file (newest first, not verified)",
               table);
  }
  return kDone;
}

int show(const Config& config) {
  const CheckpointDescription description = describe_checkpoint(path_of(config));
  const std::size_t most = config.get<bool>("all") ? description.tensors.size() : 20;
  fmt::print("{}", wants_json(config) ? to_json(description) : to_text(description, most));
  return kDone;
}

int diff(const Config& config) {
  const auto paths = config.get<std::vector<std::string>>("paths");
  if (paths.size() != 2) {
    throw UsageError(fmt::format("paths: expected two, found {}: convoy checkpoint diff A B, each a checkpoint file or "
                                 "a run's folder",
                                 paths.size()));
  }
  const CheckpointDifference difference = diff_checkpoints(paths[0], paths[1]);
  fmt::print("{}", wants_json(config) ? to_json(difference) : to_text(difference));
  return difference.same() ? kDone : kFailed;
}

/// Held while a run's files are changed, so that no run uses them; none where there is no run, or nothing is changed.
std::unique_ptr<RunLock> lock_of(const fs::path& path, bool dry_run) {
  const std::optional<fs::path> run = run_folder_around(path);
  if (!run || (dry_run && !fs::exists(*run / ".lock"))) return nullptr;
  return std::make_unique<RunLock>(*run);
}

int repair(const Config& config) {
  const fs::path path = path_of(config);
  const bool dry_run = config.get<bool>("dry-run");
  const auto lock = lock_of(path, dry_run);
  if (lock && lock->warning()) fmt::print(stderr, "{}\n", *lock->warning());
  const auto print = [&](const auto& result) {
    fmt::print("{}", wants_json(config) ? to_json(result) : to_text(result));
    if (dry_run && !wants_json(config)) fmt::print("dry run: nothing was changed\n");
  };
  bool good = true;
  if (fs::is_directory(path)) {
    const RunRepair result = repair_run(path, dry_run);
    print(result);
    good = result.good();
  } else {
    const FileRepair result = repair_checkpoint(path, dry_run);
    print(result);
    good = result.usable();
  }
  if (!good) throw DataError(fmt::format("{}: some of it cannot be repaired; a run resumes from the newest good checkpoint",
                                         path.string()));
  return kDone;
}

/// All checkpoints of a folder, or the one file.
int verify(const Config& config) {
  const fs::path path = path_of(config);
  std::vector<fs::path> files;
  if (fs::is_directory(path)) {
    const CheckpointFolder folder = folder_of(path);
    for (const std::int64_t step : folder.steps()) files.push_back(folder.file_for(step));
    if (files.empty()) throw DataError(fmt::format("{}: no checkpoint in this folder", path.string()));
  } else if (fs::exists(path)) {
    files.push_back(path);
  } else {
    throw UsageError(fmt::format("path = '{}': there is no such file or folder", path.string()));
  }
  auto reports = nlohmann::ordered_json::array();
  std::vector<std::string> damaged;
  for (const fs::path& file : files) {
    const CheckpointVerification verification = verify_checkpoint(file);
    if (!verification.good()) damaged.push_back(file.string());
    if (wants_json(config)) {
      reports.push_back(nlohmann::ordered_json::parse(to_json(verification)));
    } else {
      fmt::print("{}", to_text(verification));
    }
  }
  if (wants_json(config)) fmt::print("{}\n", reports.dump(2));
  if (!damaged.empty()) {
    throw DataError(
        fmt::format("{} of {} checkpoints are damaged, first {}; a run resumes from the newest good one",
                    damaged.size(), files.size(), damaged.front()));
  }
  return kDone;
}

}  // namespace

Command checkpoint_command() {
  return {"checkpoint",
          "list, show, verify, compare, repair, import or export what a run has saved",
          {{.path = "checkpoint list",
            .summary = "the checkpoints of a run, newest first",
            .usage = "checkpoint list RUN [--format=json]",
            .description =
                "RUN is a run's folder (runs/NAME). Prints step, size and file of every checkpoint in it\n"
                "and marks the best one. Files are not opened: convoy checkpoint verify does that.",
            .examples = "convoy checkpoint list runs/lenet",
            .positional = "path",
            .run = list},
           {.path = "checkpoint show",
            .summary = "what a checkpoint holds: step, digest, config, run record, metrics",
            .usage = "checkpoint show PATH [--all] [--format=json]",
            .description =
                "PATH is a file, or a run's folder: then its best checkpoint, or its latest where none is\n"
                "best yet. The file is verified first (status 3 where it is damaged). Two checkpoints with\n"
                "the same digest hold the same bits: parameters, optimizer, state, step and run record.\n"
                "Of the tensors the first 20 are named; --all and --format=json name all.",
            .examples = "convoy checkpoint show runs/lenet\n"
                        "convoy checkpoint show runs/lenet/checkpoints/latest --format=json",
            .positional = "path",
            .run = show},
           {.path = "checkpoint verify",
            .summary = "check every checksum of a checkpoint, or of all of a run",
            .usage = "checkpoint verify PATH [--format=json]",
            .description =
                "PATH is a file, or a run's folder: then every checkpoint in it. Names each dataset and\n"
                "attribute that is damaged; status 3 where there is one.",
            .examples = "convoy checkpoint verify runs/lenet",
            .positional = "path",
            .run = verify},
           {.path = "checkpoint diff",
            .summary = "what differs between two checkpoints: state, run record, config, tensors",
            .usage = "checkpoint diff A B [--format=json]",
            .description =
                "A and B are files or run folders (best, else latest). Of each tensor that differs: how many\n"
                "elements, the first, the largest absolute and relative difference. Bits decide, so that NaN\n"
                "equals itself. The last line is \"same DIGEST\" or \"different DIGEST DIGEST\".\n"
                "\n"
                "Status 0 where the digests are the same, 1 where they differ, 3 where a file is damaged.",
            .examples = "convoy checkpoint diff runs/one-rank runs/four-ranks",
            .positional = "paths",
            .run = diff},
           {.path = "checkpoint repair",
            .summary = "turn flipped bits back, set aside what cannot be repaired, mend links",
            .usage = "checkpoint repair PATH [--dry-run] [--format=json]",
            .description =
                "PATH is a file: where one bit of a tensor, or one bit in a block of HDF5's own metadata, was\n"
                "flipped, the checksums tell which. The repaired copy is verified, then takes the file's place;\n"
                "the damaged one is kept as FILE.damaged. What was changed is printed.\n"
                "\n"
                "Or a run's folder: the same for every checkpoint in it; those that cannot be repaired are\n"
                "renamed to *.damaged, leftovers of killed writers are removed, and the links latest and best\n"
                "are made right. A run that is in use is left alone.\n"
                "\n"
                "Status 0 where all is good or repaired, 3 where something cannot be repaired. --dry-run tells\n"
                "the same and changes nothing.",
            .examples = "convoy checkpoint repair runs/lenet --dry-run\n"
                        "convoy checkpoint repair runs/lenet/checkpoints/step-00012000.h5",
            .positional = "path",
            .run = repair},
           checkpoint_import_action(),
           checkpoint_export_action()}};
}

}  // namespace convoy
