#include "io/push_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "io/atomic_file.h"

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kFlushAt = 1 << 16;  // bytes

Json json_of(const LoggedPush& push) {
  return {{"worker", push.worker}, {"sequence", push.sequence}, {"units", push.units}};
}

LoggedPush push_from(const Json& json) {
  return {json.at("worker").get<int>(), json.at("sequence").get<std::int64_t>(),
          json.at("units").get<std::vector<std::pair<std::int64_t, std::int64_t>>>()};
}

LogEntry entry_from(const std::string& line) {
  const Json json = Json::parse(line);
  LogEntry entry{.version = json.at("version").get<std::int64_t>()};
  if (json.contains("record")) {
    entry.kind = LogEntry::Kind::record;
    entry.record = json["record"].get<RunRecord>();
  } else if (json.contains("epoch")) {
    entry.kind = LogEntry::Kind::evaluation;
    entry.epoch = json["epoch"].get<std::int64_t>();
  } else if (!json.contains("pushes") && json.contains("left_out")) {
    entry.kind = LogEntry::Kind::left_out;
    entry.left_out = json["left_out"].get<std::vector<std::int64_t>>();
  } else if (json.contains("skipped")) {
    entry.kind = LogEntry::Kind::skipped;
    entry.pushes.push_back(push_from(json["skipped"]));
  } else {
    for (const Json& push : json.at("pushes")) entry.pushes.push_back(push_from(push));
    entry.staleness = json.at("staleness").get<std::int64_t>();
    entry.rate = json.at("rate").get<double>();
    if (json.contains("left_out")) entry.left_out = json["left_out"].get<std::vector<std::int64_t>>();
    if (entry.pushes.empty()) throw DataError("an update without a push");
  }
  return entry;
}

}  // namespace

std::string to_json(const LogEntry& entry) {
  Json json{{"version", entry.version}};
  switch (entry.kind) {
    case LogEntry::Kind::record: json["record"] = entry.record; break;
    case LogEntry::Kind::evaluation: json["epoch"] = entry.epoch; break;
    case LogEntry::Kind::skipped: json["skipped"] = json_of(entry.pushes.front()); break;
    case LogEntry::Kind::left_out: json["left_out"] = entry.left_out; break;
    case LogEntry::Kind::update:
      json["pushes"] = Json::array();
      for (const LoggedPush& push : entry.pushes) json["pushes"].push_back(json_of(push));
      json["staleness"] = entry.staleness;
      json["rate"] = entry.rate;
      if (!entry.left_out.empty()) json["left_out"] = entry.left_out;
      break;
  }
  return json.dump();
}

PushLog::PushLog(std::filesystem::path file, std::int64_t entries) : file_(std::move(file)) {
  std::string kept;
  if (entries > 0) {
    std::ifstream before(file_);
    for (std::string line; entries_ < entries && std::getline(before, line); ++entries_) kept += line + '\n';
    if (entries_ < entries)
      throw DataError(fmt::format("{}: {} entries where the checkpoint was written after {}; bring the whole log back", file_.string(),
                                  entries_, entries));
  }
  descriptor_ = open(file_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) throw_system_error("open", file_, errno);
  buffer_ = std::move(kept);
  flush();
}

PushLog::~PushLog() {
  try {
    flush();
  } catch (const std::exception&) {  // a disk that is full has been told of by the checkpoints
  }
  close(descriptor_);
}

void PushLog::append(const LogEntry& entry) {
  buffer_ += to_json(entry) + '\n';
  ++entries_;
  if (buffer_.size() >= kFlushAt) flush();
}

void PushLog::flush() {
  for (std::size_t done = 0; done < buffer_.size();) {
    const ssize_t written = write(descriptor_, buffer_.data() + done, buffer_.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_system_error("write", file_, errno);
    done += static_cast<std::size_t>(written);
  }
  buffer_.clear();
}

std::vector<LogEntry> read_push_log(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) throw DataError(fmt::format("{}: cannot be read", file.string()));
  std::vector<LogEntry> entries;
  std::int64_t number = 0, version = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    try {
      LogEntry entry = entry_from(line);
      if (entry.version != version)
        throw DataError(fmt::format("version {} where {} should follow", entry.version, version));
      if (entry.kind == LogEntry::Kind::update) ++version;
      entries.push_back(std::move(entry));
    } catch (const std::exception& error) {
      throw DataError(fmt::format("{}:{}: no entry of a push log: {}", file.string(), number, error.what()));
    }
  }
  return entries;
}

}  // namespace convoy
