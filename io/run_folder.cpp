#include "io/run_folder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <fstream>
#include <iterator>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "io/atomic_file.h"
#include "io/ensemble_file.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr char kMetrics[] = "metrics.jsonl";
constexpr char kReserve[] = ".reserve";  // room for status.json on a disk that has become full
constexpr std::size_t kReserveBytes = 16384;
constexpr char kStatus[] = "status.json";
constexpr char kMembers[] = "members";
constexpr std::size_t kMaxRunName = 200;

bool fits_run_name(char c) {
  return isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("._-+=,@").find(c) != std::string_view::npos;
}

/// Empty for what is no regular file: to read a pipe or a device might never end.
std::string read_whole(const fs::path& file) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return {};
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The field "step" of a line of metrics.jsonl, if it has one. Throws nlohmann's exception for what is no JSON.
std::optional<std::int64_t> step_of_record(std::string_view line) {
  const nlohmann::json record = nlohmann::json::parse(line);
  if (!record.is_object() || !record.contains("step") || !record["step"].is_number_integer()) return {};
  return record["step"].get<std::int64_t>();
}

/// Whether a resume at `step` keeps this line. A line that a crash tore, or that is no JSON, goes.
bool keeps(std::string_view line, std::int64_t step) {
  try {
    const auto record_step = step_of_record(line);
    return !record_step || *record_step <= step;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

fs::path make_folder(const fs::path& runs, const std::string& name, RunFolder::Kind kind) {
  check_run_name(name);
  const fs::path path = runs / name;
  std::error_code error;
  const bool of_members = kind == RunFolder::Kind::ensemble;
  if (of_members ? !CheckpointFolder(path / "checkpoints").steps().empty() : fs::is_directory(path / kMembers, error))
    throw UsageError(fmt::format("the run folder {} holds {}; choose another name with --run", path.string(),
                                 of_members ? "checkpoints of a single model" : "an ensemble (--mode=ensemble)"));
  fs::create_directories(path / (of_members ? kMembers : "checkpoints"), error);
  if (error) throw_system_error("create the folder", path, error.value());
  return path;
}

}  // namespace

void check_run_name(std::string_view name) {
  const bool good = !name.empty() && name.size() <= kMaxRunName && name.front() != '.' && name.front() != '-' &&
                    std::all_of(name.begin(), name.end(), fits_run_name);
  if (!good)
    throw UsageError(fmt::format("--run={}: a run is named by 1 to {} letters, digits or \"._-+=,@\", beginning with "
                                 "neither '.' nor '-'; use --runs=DIR for the folder above it",
                                 name, kMaxRunName));
}

std::string default_run_name(const fs::path& runs, std::string_view label) {
  std::string base(label.substr(0, kMaxRunName - 40));
  for (char& c : base)
    if (!fits_run_name(c)) c = '-';
  if (base.empty() || base.front() == '.' || base.front() == '-') base.insert(0, "run");
  base += fmt::format("-{:%Y%m%d-%H%M%S}", fmt::gmtime(std::time(nullptr)));
  std::string name = base;
  for (int i = 2; fs::exists(runs / name); ++i) name = fmt::format("{}-{}", base, i);
  return name;
}

RunFolder::RunFolder(const fs::path& runs, const std::string& name, Kind kind)
    : path_(make_folder(runs, name, kind)), lock_(std::make_unique<RunLock>(path_)) {
  if (lock_->warning()) warnings_.push_back(*lock_->warning());
  remove_dead_temporaries(path_);
  try {
    write_file_atomically(path_ / kReserve, std::string(kReserveBytes, '\n'));
  } catch (const SystemError&) {
    // a disk that is full already: there is nothing to reserve
  }
}

void RunFolder::check_still_there() const {
  if (!lock_->holds(path_))
    throw LibraryError(fmt::format("the run's folder {} was moved or removed while the run used it; nothing more is saved, for "
                                   "another run may have begun under that name",
                                   path_.string()));
}

RunFolder::~RunFolder() {
  if (metrics_ >= 0) close(metrics_);
}

std::vector<std::string> RunFolder::start_fresh() {
  std::vector<std::string> warnings;
  if (checkpoints().newest_valid(warnings))
    throw UsageError(fmt::format("the run folder {} holds checkpoints already; go on from them with --resume=latest, or "
                                 "choose another name with --run",
                                 path_.string()));
  remove_status();
  open_metrics(true);
  return checkpoints().set_aside_after(-1);
}

void RunFolder::start_members(bool anew) {
  std::error_code error;
  for (const fs::directory_entry& member : fs::directory_iterator(path_ / kMembers, error))
    if (anew && !CheckpointFolder(member.path() / "checkpoints").steps().empty())
      throw UsageError(fmt::format("the run folder {} holds members that were trained already ({}); go on from them with --resume=latest, "
                                   "or choose another name with --run",
                                   path_.string(), member.path().filename().string()));
  if (anew) fs::remove(path_ / kEnsembleFile, error);
  remove_status();
}

std::vector<std::string> RunFolder::continue_from(std::int64_t step) {
  std::vector<std::string> warnings = checkpoints().set_aside_after(step);
  remove_status();
  cut_metrics_after(step);
  open_metrics(false);
  return warnings;
}

void RunFolder::write_config(std::string_view text) {
  const fs::path file = path_ / "config.cfg";
  if (fs::exists(file)) {
    const std::string before = read_whole(file);
    if (before == text) return;
    int i = 1;
    while (fs::exists(path_ / fmt::format("config-{}.cfg", i))) ++i;
    write_file_atomically(path_ / fmt::format("config-{}.cfg", i), before);
  }
  write_file_atomically(file, text);
}

void RunFolder::append_metrics(std::string_view json) {
  bool good = json.find('\n') == json.npos;
  try {
    good = good && nlohmann::json::parse(json).is_object();
  } catch (const nlohmann::json::exception&) {
    good = false;
  }
  if (!good) throw UsageError(fmt::format("a record of metrics is a JSON object on one line, found: {}", json));
  if (metrics_ < 0) open_metrics(false);
  std::string line(json);
  line += '\n';
  const trace::Doing appending(trace::Activity::checkpoint, "writing metrics.jsonl");
  // One write: with O_APPEND a crash tears at most the last line.
  const ssize_t written = write(metrics_, line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size()))
    throw_system_error("write", path_ / kMetrics, written < 0 ? errno : ENOSPC);
}

void RunFolder::write_status(RunStatus status) { convoy::write_status(path_, std::move(status)); }

void write_status(const fs::path& run_folder, RunStatus status) {
  status.time = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  const nlohmann::ordered_json json{
      {"status", status.status}, {"reason", status.reason}, {"step", status.step}, {"epoch", status.epoch},
      {"checkpoint", status.checkpoint.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(status.checkpoint)},
      {"rank", status.rank < 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(status.rank)},
      {"again", status.again && status.status != 0 && status.status != 2 && status.status != 3},
      {"time", status.time}};
  // A reason may quote a damaged file: bytes that are not UTF-8 become U+FFFD.
  const std::string text = json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  try {
    write_file_atomically(run_folder / kStatus, text);
  } catch (const SystemError& error) {
    // A full disk must not keep the run from saying that the disk was full.
    if (unlink((run_folder / kReserve).c_str()) != 0) throw;
    write_file_atomically(run_folder / kStatus, text);
  }
}

void RunFolder::cut_metrics_after(std::int64_t step) {
  const fs::path file = path_ / kMetrics;
  if (!fs::exists(file)) return;
  const std::string content = read_whole(file);
  std::string kept;
  for (std::size_t begin = 0; begin < content.size();) {
    const std::size_t end = content.find('\n', begin);
    if (end == content.npos) break;  // torn by a crash
    const std::string_view line(content.data() + begin, end - begin);
    if (keeps(line, step)) kept.append(line).push_back('\n');
    begin = end + 1;
  }
  if (kept != content) write_file_atomically(file, kept);
}

void RunFolder::open_metrics(bool empty) {
  if (metrics_ >= 0) close(metrics_);
  const fs::path file = path_ / kMetrics;
  metrics_ = open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | (empty ? O_TRUNC : 0), 0666);
  if (metrics_ < 0) throw_system_error("open", file, errno);
}

void RunFolder::remove_status() {
  if (unlink((path_ / kStatus).c_str()) != 0 && errno != ENOENT)
    throw_system_error("remove", path_ / kStatus, errno);
}

namespace {

/// A whole number within [least, most]; anything else would be cut to something that the file does not say.
std::int64_t whole_number(const nlohmann::json& json, const char* name, std::int64_t least, std::int64_t most, const fs::path& file) {
  const nlohmann::json& value = json.at(name);
  const bool fits = value.is_number_integer() && (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX) &&
                    value.get<std::int64_t>() >= least && value.get<std::int64_t>() <= most;
  if (!fits) throw DataError(fmt::format("{}: not a status of a run: \"{}\" is no whole number from {} to {}", file.string(), name, least, most));
  return value.get<std::int64_t>();
}

}  // namespace

std::optional<RunStatus> read_status(const fs::path& run_folder) {
  const fs::path file = run_folder / kStatus;
  if (!fs::exists(file)) return {};
  try {
    const nlohmann::json json = nlohmann::json::parse(read_whole(file));
    const auto& checkpoint = json.at("checkpoint");
    const auto& rank = json.at("rank");
    return RunStatus{.status = static_cast<int>(whole_number(json, "status", 0, 255, file)),
                     .reason = json.at("reason").get<std::string>(),
                     .step = whole_number(json, "step", 0, INT64_MAX, file),
                     .epoch = json.at("epoch").get<double>(),
                     .checkpoint = checkpoint.is_null() ? "" : checkpoint.get<std::string>(),
                     .rank = rank.is_null() ? -1 : static_cast<int>(whole_number(json, "rank", 0, INT32_MAX, file)),
                     .time = json.at("time").get<std::string>(),
                     .again = json.value("again", true)};
  } catch (const nlohmann::json::exception& error) {
    throw DataError(fmt::format("{}: not a status of a run: {}", file.string(), std::string_view(error.what()).substr(0, 300)));
  }
}

}  // namespace convoy
