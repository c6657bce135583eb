// convoy checkpoint: what a run has saved.
#include "io/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "io/describe_checkpoint.h"
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
  return CheckpointFolder(fs::is_directory(path / "checkpoints") ? path / "checkpoints" : path);
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
  fmt::print("{}", wants_json(config) ? to_json(description) : to_text(description));
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
          "list, show or verify what a run has saved",
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
            .usage = "checkpoint show PATH [--format=json]",
            .description =
                "PATH is a file, or a run's folder: then its best checkpoint, or its latest where none is\n"
                "best yet. The file is verified first (status 3 where it is damaged). Two checkpoints with\n"
                "the same digest hold the same bits: parameters, optimizer, state, step and run record.",
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
            .run = verify}}};
}

}  // namespace convoy
