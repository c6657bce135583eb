#include "launch/plan/cluster_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>

#include "core/tensor/error.h"
#include "launch/ini.h"
#include "launch/printable.h"
#include "launch/suggest.h"

namespace convoy {
namespace {

/// A number of a file: `needed` ones must be there; the others may be 0.
template <typename Record>
struct Key {
  const char* name;
  double& (*value)(Record&);
  bool needed = false;
  bool may_be_zero = true;
};

// clang-format off
const std::vector<Key<Cluster>>& cluster_keys() {
  static const std::vector<Key<Cluster>> keys = {
      {"node.ranks", [](Cluster& c) -> double& { return c.ranks; }, true, false},
      {"node.cores", [](Cluster& c) -> double& { return c.cores; }},
      {"node.nics", [](Cluster& c) -> double& { return c.nics; }, false, false},
      {"node.memory-bytes", [](Cluster& c) -> double& { return c.memory_bytes; }},
      {"link.intra.bytes-per-second", [](Cluster& c) -> double& { return c.intra.bytes_per_second; }, false, false},
      {"link.intra.latency-seconds", [](Cluster& c) -> double& { return c.intra.latency; }},
      {"link.intra.overhead-seconds", [](Cluster& c) -> double& { return c.intra.overhead; }},
      {"link.inter.bytes-per-second", [](Cluster& c) -> double& { return c.inter.bytes_per_second; }, false, false},
      {"link.inter.latency-seconds", [](Cluster& c) -> double& { return c.inter.latency; }},
      {"link.inter.overhead-seconds", [](Cluster& c) -> double& { return c.inter.overhead; }},
      {"compute.flops-per-second", [](Cluster& c) -> double& { return c.flops_per_second; }, true, false},
      {"compute.bytes-per-second", [](Cluster& c) -> double& { return c.bytes_per_second; }, true, false},
      {"compute.op-seconds", [](Cluster& c) -> double& { return c.op_seconds; }},
      {"compute.units", [](Cluster& c) -> double& { return c.units; }},
      {"compute.add-bytes-per-second", [](Cluster& c) -> double& { return c.add_bytes_per_second; }, true, false},
      {"compute.jitter", [](Cluster& c) -> double& { return c.jitter; }},
      {"storage.write-bytes-per-second", [](Cluster& c) -> double& { return c.write_bytes_per_second; }, false, false},
      {"storage.copy-bytes-per-second", [](Cluster& c) -> double& { return c.copy_bytes_per_second; }, false, false},
      {"failures.node-hours", [](Cluster& c) -> double& { return c.node_hours; }, false, false},
      {"failures.restart-seconds", [](Cluster& c) -> double& { return c.restart_seconds; }}};
  return keys;
}

const std::vector<Key<MeasuredNetwork>>& measured_keys() {
  static const std::vector<Key<MeasuredNetwork>> keys = {
      {"micro-batch", [](MeasuredNetwork& m) -> double& { return m.micro_batch; }, true, false},
      {"samples-per-second", [](MeasuredNetwork& m) -> double& { return m.samples_per_second; }, false, false},
      {"micro-batch-seconds", [](MeasuredNetwork& m) -> double& { return m.micro_batch_seconds; }, false, false},
      {"step-seconds", [](MeasuredNetwork& m) -> double& { return m.step_seconds; }},
      {"multiply-adds", [](MeasuredNetwork& m) -> double& { return m.multiply_adds; }}};
  return keys;
}
// clang-format on

constexpr std::string_view kMeasured = "measured.";

[[noreturn]] void fail_number(const std::string& where, const std::string& name, const std::string& value, const char* wanted) {
  throw UsageError(fmt::format("{}: {} = {}: expected a number {} (SI units: bytes, seconds)", where, name, printable(value), wanted));
}

double number_of(const IniEntry& entry, const std::string& where, bool may_be_zero) {
  double value = 0;
  const char* const begin = entry.value.data();
  const char* const end = begin + entry.value.size();
  const auto [rest, error] = std::from_chars(begin, end, value);
  const char* const wanted = may_be_zero ? "of at least 0" : "above 0";
  if (error != std::errc{} || rest != end || !std::isfinite(value) || value < 0 || (value == 0 && !may_be_zero))
    fail_number(where, entry.name, entry.value, wanted);
  return value;
}

void set_measured(Cluster& cluster, const IniEntry& entry, const std::string& where) {
  const std::string rest = entry.name.substr(kMeasured.size());
  const std::size_t dot = rest.rfind('.');
  const std::string name = dot == std::string::npos ? "" : rest.substr(0, dot), key = rest.substr(dot + 1);
  if (name.empty()) throw UsageError(fmt::format("{}: expected a section [measured.MODEL], found {}", where, entry.name));
  auto found = std::find_if(cluster.measured.begin(), cluster.measured.end(), [&](const auto& each) { return each.name == name; });
  if (found == cluster.measured.end()) found = cluster.measured.insert(found, MeasuredNetwork{.name = name, .model = name});
  if (key == "model") {
    found->model = entry.value;
    return;
  }
  if (key == "precision") {
    found->precision = entry.value;
    return;
  }
  std::vector<std::string> known{"model", "precision"};
  for (const auto& each : measured_keys()) {
    if (each.name == key) {
      each.value(*found) = number_of(entry, where, each.may_be_zero);
      return;
    }
    known.emplace_back(each.name);
  }
  throw UsageError(fmt::format("{}: [measured.{}] has no '{}'{} (known: {})", where, name, key, did_you_mean(key, known),
                               fmt::join(known, ", ")));
}

void set_key(Cluster& cluster, const IniEntry& entry, const std::string& where) {
  std::vector<std::string> known{"node.device"};
  if (entry.name == known.front()) {
    if (entry.value != "cuda" && entry.value != "cpu")
      throw UsageError(fmt::format("{}: node.device = {}: expected cuda or cpu", where, printable(entry.value)));
    cluster.device = entry.value;
    return;
  }
  for (const auto& key : cluster_keys()) {
    if (key.name == entry.name) {
      key.value(cluster) = number_of(entry, where, key.may_be_zero);
      return;
    }
    known.emplace_back(key.name);
  }
  throw UsageError(fmt::format("{}: a cluster file has no '{}'{} (known: {}, measured.MODEL.*)", where, printable(entry.name),
                               did_you_mean(entry.name, known), fmt::join(known, ", ")));
}

void check_measured(const MeasuredNetwork& network, const std::string& file) {
  if (network.micro_batch == 0) throw UsageError(fmt::format("{}: [measured.{}] lacks micro-batch", file, network.name));
  if ((network.samples_per_second > 0) == (network.micro_batch_seconds > 0))
    throw UsageError(fmt::format("{}: [measured.{}] needs samples-per-second or micro-batch-seconds, and not both", file,
                                 network.name));
}

void check_whole(const Cluster& cluster, const std::set<std::string>& given, const std::string& file) {
  std::vector<std::string> missing;
  if (!given.contains("node.device")) missing.emplace_back("node.device");
  for (const auto& key : cluster_keys())
    if (key.needed && !given.contains(key.name)) missing.emplace_back(key.name);
  if (cluster.is_host() && cluster.cores == 0) missing.emplace_back("node.cores (ranks on cpus share them)");
  if (!missing.empty()) throw UsageError(fmt::format("{}: missing: {}", file, fmt::join(missing, ", ")));
  for (const MeasuredNetwork& network : cluster.measured) check_measured(network, file);
}

template <typename Record>
void append(std::string& text, std::string& section, Record& record, const std::vector<Key<Record>>& keys,
            const std::string& prefix) {
  for (const auto& key : keys) {
    const double value = key.value(record);
    if (value == 0 && !key.needed) continue;
    const std::string name = prefix + key.name;
    const std::size_t dot = name.rfind('.');
    if (name.substr(0, dot) != section) text += fmt::format("\n[{}]\n", section = name.substr(0, dot));
    text += fmt::format("{} = {:.6g}\n", name.substr(dot + 1), value);
  }
}

}  // namespace

Cluster parse_cluster(std::string_view text, const std::string& file) {
  Cluster cluster;
  std::set<std::string> given;
  for (const IniEntry& entry : parse_ini(text, file)) {
    const std::string where = fmt::format("{}:{}", file, entry.line);
    entry.name.starts_with(kMeasured) ? set_measured(cluster, entry, where) : set_key(cluster, entry, where);
    given.insert(entry.name);
  }
  check_whole(cluster, given, file);
  return cluster;
}

Cluster read_cluster(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::ostringstream text;
  if (!stream || !(text << stream.rdbuf()))
    throw UsageError(fmt::format("--cluster={}: the file cannot be read; experiments/scaling/clusters holds examples, and convoy "
                                 "plan --probe writes one of this machine",
                                 file.string()));
  return parse_cluster(text.str(), file.string());
}

std::string cluster_text(const Cluster& cluster, const std::string& comment) {
  std::string text, section = "node";
  std::istringstream lines(comment);
  for (std::string line; std::getline(lines, line);) text += "# " + line + "\n";
  text += fmt::format("\n[node]\ndevice = {}\n", cluster.device);
  Cluster copy = cluster;
  append(text, section, copy, cluster_keys(), "");
  for (MeasuredNetwork& network : copy.measured) {
    const std::string name = "measured." + network.name;
    text += fmt::format("\n[{}]\n", section = name);
    if (network.model != network.name) text += fmt::format("model = {}\n", network.model);
    if (network.precision != "fp32") text += fmt::format("precision = {}\n", network.precision);
    append(text, section, network, measured_keys(), name + ".");
  }
  return text;
}

const MeasuredNetwork* find_measured(const Cluster& cluster, std::string_view model, std::string_view precision,
                                     double micro_batch) {
  const MeasuredNetwork* best = nullptr;
  const auto distance = [&](const MeasuredNetwork& each) { return std::abs(std::log(each.micro_batch / micro_batch)); };
  for (const MeasuredNetwork& each : cluster.measured)
    if (each.model == model && each.precision == precision && (!best || distance(each) < distance(*best))) best = &each;
  return best;
}

}  // namespace convoy
