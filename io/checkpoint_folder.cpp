#include <algorithm>
#include <charconv>
#include <cstdio>
#include <set>

#include <fmt/format.h>

#include "core/tensor/error.h"
#include "io/atomic_file.h"
#include "io/checkpoint.h"
#include "io/checkpoint_format.h"
#include "io/hdf5.h"
#include "io/rehearsal.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr char kLatest[] = "latest";
constexpr char kBest[] = "best";
constexpr char kPinned[] = "pinned";

std::string name_for(std::int64_t step) { return fmt::format("step-{:08}.h5", step); }

/// The step of "step-00012000.h5"; none for any name that name_for would not give.
std::optional<std::int64_t> step_of(const std::string& name) {
  constexpr std::string_view kPrefix = "step-";
  std::int64_t step = 0;
  if (!name.starts_with(kPrefix)) return {};
  const auto parsed = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), step);
  if (parsed.ec != std::errc{} || step < 0 || name != name_for(step)) return {};
  return step;
}

/// Where the link `name` points to, if that is a checkpoint of this folder.
std::optional<fs::path> linked(const fs::path& folder, const char* name) {
  std::error_code error;
  const fs::path target = fs::read_symlink(folder / name, error);
  if (error || target.has_parent_path() || !step_of(target.string())) return {};
  return fs::is_regular_file(folder / target, error) ? std::optional(folder / target) : std::nullopt;
}

/// The best step that a checkpoint records in itself, read without the tensors.
std::optional<std::int64_t> recorded_best(const fs::path& file) {
  const auto read = [&]() -> std::optional<std::int64_t> {
    const hdf5::File opened = hdf5::open_file(file);
    if (!hdf5::has_attribute(opened.get(), "best_step")) return {};
    return hdf5::read_number<std::int64_t>(opened.get(), "best_step");
  };
  try {
    rehearse(file.string(), read);
    return read();
  } catch (const Error&) {
    return {};  // damaged: an older one may still know
  }
}

}  // namespace

CheckpointFolder::CheckpointFolder(fs::path folder) : folder_(std::move(folder)) {}

fs::path CheckpointFolder::file_for(std::int64_t step) const { return folder_ / name_for(step); }

std::vector<std::int64_t> CheckpointFolder::steps() const {
  std::vector<std::int64_t> steps;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_, error)) {
    const auto step = step_of(entry.path().filename().string());
    if (step && entry.symlink_status(error).type() == fs::file_type::regular) steps.push_back(*step);
  }
  std::sort(steps.rbegin(), steps.rend());
  return steps;
}

fs::path CheckpointFolder::save(const Checkpoint& checkpoint, int keep, bool is_best) const {
  if (keep < 1)
    throw UsageError(fmt::format("checkpoint.keep={}: expected at least 1, for a run keeps its newest checkpoint", keep));
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) throw_system_error("create the folder", folder_, error.value());
  remove_dead_temporaries(folder_);

  const fs::path file = file_for(checkpoint.step);
  write_checkpoint(file, checkpoint);
  if (is_best) replace_symlink(folder_ / kBest, file.filename());
  replace_symlink(folder_ / kLatest, file.filename());

  std::set<fs::path> kept;
  for (const char* name : {kBest, kPinned})
    if (const auto file_of_link = linked(folder_, name)) kept.insert(*file_of_link);
  if (checkpoint.best) kept.insert(file_for(checkpoint.best->second));
  int newer = 0;
  for (std::int64_t step : steps()) {
    if (step > checkpoint.step) continue;  // not of this run's past: see set_aside_after
    if (newer++ < keep || kept.contains(file_for(step))) continue;
    fs::remove(file_for(step), error);  // one that cannot be removed only costs space
  }
  return file;
}

std::optional<std::pair<fs::path, Checkpoint>> CheckpointFolder::newest_valid(
    std::vector<std::string>& warnings) const {
  for (std::int64_t step : steps()) {
    const fs::path file = file_for(step);
    try {
      Checkpoint checkpoint = read_checkpoint(file);
      if (checkpoint.step == step) return std::pair(file, std::move(checkpoint));
      warnings.push_back(fmt::format("checkpoint {}: holds step {}, so it was renamed; not used", file.string(),
                                     checkpoint.step));
    } catch (const Error& damaged) {
      warnings.push_back(damaged.what());
    }
  }
  return {};
}

std::optional<fs::path> CheckpointFolder::best() const {
  if (const auto named = linked(folder_, kBest)) return named;
  std::error_code error;
  for (std::int64_t step : steps()) {
    const auto best_step = recorded_best(file_for(step));
    if (best_step && fs::is_regular_file(file_for(*best_step), error)) return file_for(*best_step);
  }
  return {};
}

void CheckpointFolder::pin(const fs::path& file) const { replace_symlink(folder_ / kPinned, file.filename()); }

std::vector<std::string> CheckpointFolder::set_aside_after(std::int64_t step) const {
  std::vector<std::string> warnings;
  const std::optional<fs::path> best_before = linked(folder_, kBest);
  for (std::int64_t later : steps()) {
    if (later <= step) continue;
    const fs::path file = file_for(later);
    fs::path aside = file;
    aside += ".set-aside";
    if (std::rename(file.c_str(), aside.c_str()) != 0) throw_system_error("rename", file, errno);
    const std::string begins = step < 0 ? "the beginning" : fmt::format("step {}", step);
    warnings.push_back(fmt::format("checkpoint {} is no part of this run, which goes on from {}: renamed to {}",
                                   file.string(), begins, aside.filename().string()));
  }
  if (warnings.empty()) return warnings;
  std::error_code error;
  if (const std::vector<std::int64_t> left = steps(); !left.empty())
    replace_symlink(folder_ / kLatest, file_for(left.front()).filename());
  else
    fs::remove(folder_ / kLatest, error);
  if (best_before && !linked(folder_, kBest)) {
    // The best of the abandoned continuation goes with it; what stands now records its own.
    fs::remove(folder_ / kBest, error);
    if (const auto standing = best()) replace_symlink(folder_ / kBest, standing->filename());
  }
  sync_folder(folder_);
  return warnings;
}

fs::path resolve_checkpoint(const fs::path& path, std::vector<std::string>* passed_over) {
  std::error_code error;
  if (!fs::exists(path, error))
    throw UsageError(fmt::format("{}: no such checkpoint; expected a checkpoint file or a run folder", path.string()));
  if (!fs::is_directory(path, error)) return path;
  const fs::path inner = path / "checkpoints";
  const CheckpointFolder folder(fs::is_directory(inner, error) ? inner : path);
  if (const auto best = folder.best()) return *best;
  std::vector<std::string> warnings;
  if (const auto newest = folder.newest_valid(warnings)) {
    if (passed_over) *passed_over = std::move(warnings);
    return newest->first;
  }
  std::string message = fmt::format("{}: holds no usable checkpoint (step-*.h5)", path.string());
  if (fs::is_directory(path / "members", error))
    message += fmt::format("; it is the run of an ensemble: {} is one of its models, if it is trained", (path / "members" / "01").string());
  for (const std::string& warning : warnings) message += "\n  " + warning;
  throw DataError(message);
}

}  // namespace convoy
