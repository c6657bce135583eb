#include "launch/doctor/evidence.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "io/atomic_file.h"
#include "io/describe_checkpoint.h"
#include "launch/suggest.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::streamoff kTailBytes = 1 << 16;
constexpr std::size_t kJobLines = 6;

bool is_run(const fs::path& folder) {
  std::error_code error;
  for (const char* name : {"status.json", "metrics.jsonl", "config.cfg", "watch", "checkpoints", ".lock"})
    if (fs::exists(folder / name, error)) return true;
  return false;
}

std::vector<std::string> runs_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
    if (entry.is_directory(error) && is_run(entry.path())) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

/// "runs/lenet/" and "runs/lenet" are the same run.
fs::path named_folder(const fs::path& run) {
  const fs::path normal = run.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

void check_folder(const fs::path& run) {
  std::error_code error;
  if (!fs::is_directory(run, error)) {
    const fs::path above = run.has_parent_path() ? run.parent_path() : fs::path(".");
    throw UsageError(fmt::format("RUN = '{}': expected a run's folder, found {}{}", run.string(),
                                 fs::exists(run, error) ? "a file" : "nothing of that name",
                                 did_you_mean(run.filename().string(), runs_in(above))));
  }
  if (is_run(run)) return;
  const std::vector<std::string> inside = runs_in(run);
  throw UsageError(fmt::format("RUN = '{}': this folder is no run's: no status.json, metrics.jsonl or checkpoints in it{}",
                               run.string(),
                               inside.empty() ? "" : fmt::format("; it holds runs: {} ...", (run / inside.front()).string())));
}

/// The last lines of a text file, whole ones, oldest first.
std::vector<std::string> last_lines(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return {};  // a FIFO or a device would never end
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  if (!in) return {};
  const std::streamoff size = in.tellg();
  in.seekg(std::max<std::streamoff>(0, size - kTailBytes));
  std::string line;
  if (size > kTailBytes) std::getline(in, line);
  std::vector<std::string> lines;
  while (std::getline(in, line)) {
    for (char& c : line)
      if (c < 0x20 || c > 0x7e) c = '?';
    lines.push_back(line);
  }
  return lines;
}

std::optional<MetricsTail> tail_of_metrics(const fs::path& file) {
  const std::vector<std::string> lines = last_lines(file);
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    try {
      const auto record = nlohmann::json::parse(*line);
      if (record.at("kind") == "train")
        return MetricsTail{record.at("step").get<std::int64_t>(), record.at("loss").get<double>()};
    } catch (const nlohmann::json::exception&) {
      continue;  // torn by a crash, or another kind of record
    }
  }
  return std::nullopt;
}

/// The state letter of a process of convoy on this machine; none: not seen.
std::optional<char> state_of(const RingIdentity& identity) {
  if (identity.host != host_name()) return {};
  std::ifstream in(fmt::format("/proc/{}/stat", identity.pid));
  std::string stat;
  std::getline(in, stat);  // "4711 (convoy) S ..."
  const std::size_t open = stat.find('('), close = stat.rfind(')');
  if (open == stat.npos || close == stat.npos || stat.substr(open, close - open) != "(convoy" || close + 2 >= stat.size())
    return {};
  return stat[close + 2];
}

LifeEvidence read_life(const fs::path& status_folder, const fs::path& watch, const LifeMark& mark,
                       std::vector<std::string>& problems) {
  LifeEvidence life{.mark = mark, .status = {}, .rings = read_rings(watch, problems)};
  try {
    life.status = read_status(status_folder);
  } catch (const Error& damaged) {
    problems.push_back(damaged.what());
  }
  return life;
}

/// Files that a later life has not put aside yet, or a copy from elsewhere: only the newest life counts.
void keep_newest(LifeEvidence& life, std::vector<std::string>& problems) {
  int newest = life.mark.life;
  for (const RingReading& ring : life.rings) newest = std::max(newest, ring.identity.life);
  const auto is_old = [&](const RingReading& ring) { return ring.identity.life < newest; };
  const auto old = std::count_if(life.rings.begin(), life.rings.end(), is_old);
  if (old > 0) problems.push_back(fmt::format("{} flight recorder files belong to an earlier life than {}: left out", old, newest));
  std::erase_if(life.rings, is_old);
  life.mark.life = newest;
  // A life that ended before it wrote its status, and even before it removed the one of the life before.
  if (life.status && !life.mark.began.empty() && life.status->time < life.mark.began) life.status.reset();
}

void look_at_checkpoints(RunEvidence& evidence, bool verify) {
  const CheckpointFolder folder(evidence.run / "checkpoints");
  for (const std::int64_t step : folder.steps()) {
    CheckpointEvidence checkpoint{.step = step};
    if (verify) {
      checkpoint.looked_at = true;
      checkpoint.good = verify_checkpoint(folder.file_for(step)).good();
      verify = !checkpoint.good;
    }
    evidence.checkpoints.push_back(checkpoint);
  }
}

void look_at_members(RunEvidence& evidence) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(evidence.run / "members", error)) {
    MemberEvidence member{.name = entry.path().filename().string()};
    try {
      member.status = read_status(entry.path());
    } catch (const DataError& damaged) {
      evidence.problems.push_back(damaged.what());
    }
    if (const auto steps = CheckpointFolder(entry.path() / "checkpoints").steps(); !steps.empty()) member.newest_step = steps.front();
    evidence.members.push_back(std::move(member));
  }
  std::ranges::sort(evidence.members, {}, &MemberEvidence::name);
}

}  // namespace

RunEvidence gather_evidence(const fs::path& named, bool verify) {
  RunEvidence evidence;
  evidence.run = named_folder(named);
  check_folder(evidence.run);
  evidence.lock = look_at_lock(evidence.run);  // before the files: a run that ends meanwhile has written them
  evidence.life = read_life(evidence.run, watch_folder(evidence.run), newest_life(evidence.run), evidence.problems);
  keep_newest(evidence.life, evidence.problems);
  for (const RingReading& ring : evidence.life.rings)
    if (const auto state = state_of(ring.identity)) evidence.process_state[ring.identity.rank] = *state;
  evidence.now_ns = std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count();
  look_at_checkpoints(evidence, verify);
  look_at_members(evidence);
  evidence.metrics = tail_of_metrics(evidence.run / "metrics.jsonl");
  evidence.jobs = last_lines(evidence.run / "lives.log");
  if (evidence.jobs.size() > kJobLines) evidence.jobs.erase(evidence.jobs.begin(), evidence.jobs.end() - kJobLines);
  evidence.has_config = fs::exists(evidence.run / "config.cfg");
  for (const Life& life : earlier_lives(evidence.run))
    evidence.earlier.push_back(read_life(life.folder, life.folder, life.mark, evidence.problems));
  return evidence;
}

}  // namespace convoy
