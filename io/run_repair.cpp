// convoy checkpoint repair of a whole run: io/checkpoint_repair.h.
#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <fmt/format.h>

#include "core/tensor/error.h"
#include "io/atomic_file.h"
#include "io/checkpoint.h"
#include "io/checkpoint_repair.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

fs::path checkpoints_in(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw UsageError(fmt::format("{}: expected a run's folder, found {}", folder.string(),
                                 fs::exists(folder, error) ? "a file" : "nothing of that name"));
  return fs::is_directory(folder / "checkpoints", error) ? folder / "checkpoints" : folder;
}

/// A file that holds another step than its name says is used by no run.
void check_name(const CheckpointFolder& folder, std::int64_t step, FileRepair& repair) {
  if (!repair.usable() || repair.step == step) return;
  repair.outcome = FileRepair::Outcome::damaged;
  repair.problems.push_back(fmt::format("it holds step {}, so it was renamed; call it {} where no such file is",
                                        repair.step, folder.file_for(repair.step).filename().string()));
}

void set_aside(FileRepair& repair) {
  fs::path aside = repair.file;
  aside += ".damaged";
  std::error_code error;
  for (int number = 2; fs::exists(fs::symlink_status(aside, error)); ++number) {
    aside = repair.file;
    aside += fmt::format(".damaged-{}", number);
  }
  if (std::rename(repair.file.c_str(), aside.c_str()) != 0) throw_system_error("rename", repair.file, errno);
  repair.kept = aside;
}

/// Makes `link` point to `target` (empty: removes it) and notes the change.
void correct_link(const fs::path& link, const std::string& target, bool dry_run, std::vector<std::string>& changes) {
  std::error_code error;
  const fs::path now = fs::read_symlink(link, error);
  const bool there = !error || fs::exists(fs::symlink_status(link, error));
  if (there ? now == target && !target.empty() : target.empty()) return;
  if (target.empty()) {
    changes.push_back(fmt::format("{} removed: nothing is left that it could name", link.filename().string()));
    if (!dry_run) fs::remove(link, error);
  } else {
    changes.push_back(fmt::format("{} -> {}", link.filename().string(), target));
    if (!dry_run) replace_symlink(link, target);
  }
}

/// The best checkpoint: the one that the link names, else the one that the newest file records, if it is usable.
std::string best_of(const fs::path& folder, const std::vector<FileRepair>& files) {
  const auto usable = [&](const fs::path& name) {
    return std::any_of(files.begin(), files.end(), [&](const FileRepair& repair) {
      return repair.usable() && repair.file.filename() == name;
    });
  };
  std::error_code error;
  const fs::path linked = fs::read_symlink(folder / "best", error);
  if (!error && usable(linked)) return linked.string();
  for (const FileRepair& repair : files) {
    if (!repair.usable() || !repair.best_step) continue;
    const fs::path name = CheckpointFolder(folder).file_for(*repair.best_step).filename();
    if (usable(name)) return name.string();
  }
  return {};
}

void clean(const fs::path& folder, bool dry_run, std::vector<std::string>& leftovers) {
  const std::vector<std::string> dead = dry_run ? dead_temporaries(folder) : remove_dead_temporaries(folder);
  leftovers.insert(leftovers.end(), dead.begin(), dead.end());
}

}  // namespace

bool RunRepair::good() const {
  return std::all_of(files.begin(), files.end(), [](const FileRepair& repair) { return repair.usable(); });
}

RunRepair repair_run(const fs::path& path, bool dry_run) {
  const fs::path checkpoints = fs::canonical(checkpoints_in(path));
  const CheckpointFolder folder(checkpoints);
  RunRepair result;
  for (const std::int64_t step : folder.steps()) {
    FileRepair repair = repair_checkpoint(folder.file_for(step), dry_run);
    check_name(folder, step, repair);
    if (!repair.usable() && !dry_run) set_aside(repair);
    result.files.push_back(std::move(repair));
  }
  clean(checkpoints, dry_run, result.leftovers);
  if (const auto run = run_folder_around(checkpoints)) clean(*run, dry_run, result.leftovers);
  const auto newest = std::find_if(result.files.begin(), result.files.end(), [](const FileRepair& r) { return r.usable(); });
  const std::string latest = newest == result.files.end() ? "" : newest->file.filename().string();
  correct_link(checkpoints / "latest", latest, dry_run, result.links);
  correct_link(checkpoints / "best", best_of(checkpoints, result.files), dry_run, result.links);
  if (!dry_run) sync_folder(checkpoints);
  return result;
}

std::optional<fs::path> run_folder_around(const fs::path& path) {
  std::error_code error;
  const fs::path inner = fs::weakly_canonical(path, error);
  const fs::path folder = fs::is_directory(inner, error) ? inner : inner.parent_path();
  if (folder.filename() == "checkpoints") return folder.parent_path();
  if (fs::is_directory(folder / "checkpoints", error)) return folder;
  return {};
}

}  // namespace convoy
