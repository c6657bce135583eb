#include "io/checkpoint_diff.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include "io/checkpoint.h"
#include "io/checkpoint_format.h"
#include "io/tensor_elements.h"

namespace convoy {
namespace {

using Entries = std::map<std::string, std::string>;

/// What the digest covers beside tensors and run record, in words.
Entries state_of(const Checkpoint& c) {
  Entries entries{{"step", fmt::format("{}", c.step)},
                  {"updates", fmt::format("{}", c.updates)},
                  {"loss scale", fmt::format("{}", c.loss_scale)},
                  {"loss scale counter", fmt::format("{}", c.loss_scale_counter)},
                  {"best", c.best ? fmt::format("{} at step {}", c.best->first, c.best->second) : "none yet"}};
  for (std::size_t i = 0; i < c.ledgers.size(); ++i) {
    const EpochLedger& l = c.ledgers[i];
    entries[fmt::format("ledger {}", i)] =
        fmt::format("epoch {}: {} samples, sum {}, xor {}", l.epoch, l.count, l.sum, l.exclusive_or);
  }
  for (std::size_t i = 0; i < c.skipped_steps.size(); ++i)
    entries[fmt::format("skipped step {}", i)] = fmt::format("{}", c.skipped_steps[i]);
  for (const auto& [name, value] : c.mode) entries["mode: " + name] = value;
  return entries;
}

Entries others_of(const Checkpoint& c) {
  return {{"world size", fmt::format("{}", c.world_size)},
          {"graph hash", c.graph_hash},
          {"epoch", fmt::format("{}", c.epoch)},
          {"metrics", c.metrics}};
}

std::vector<EntryDifference> diff_entries(const Entries& a, const Entries& b) {
  std::vector<EntryDifference> differences;
  for (const auto& [name, value] : a) {
    const auto other = b.find(name);
    if (other == b.end())
      differences.push_back({name, value, "", true, false});
    else if (other->second != value)
      differences.push_back({name, value, other->second});
  }
  for (const auto& [name, value] : b)
    if (!a.contains(name)) differences.push_back({name, "", value, false, true});
  std::stable_sort(differences.begin(), differences.end(), [](const auto& x, const auto& y) { return x.name < y.name; });
  return differences;
}

/// The lines of an INI text, each with its section before it; blank lines are left out.
std::vector<std::string> config_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  std::string section;
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) continue;
    if (line.front() == '[')
      section = line + " ";
    else
      lines.push_back(section + line);
  }
  return lines;
}

/// Lines of `a` that `b` lacks; a line that `a` has more often than `b` counts once for each time too many.
std::vector<std::string> lines_only_in(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::multiset<std::string> left(b.begin(), b.end());
  std::vector<std::string> only;
  for (const std::string& line : a) {
    const auto found = left.find(line);
    if (found == left.end())
      only.push_back(line);
    else
      left.erase(found);
  }
  return only;
}

std::string kind_of(const Tensor& tensor) { return fmt::format("{} {}", name_of(tensor.dtype()), tensor.shape().str()); }

void diff_group(const std::string& group, const std::map<std::string, Tensor>& a, const std::map<std::string, Tensor>& b,
                CheckpointDifference& out) {
  const auto note = [&](TensorDifference difference) { out.tensors.push_back(std::move(difference)); };
  for (const auto& [name, tensor] : a) {
    ++out.tensors_compared;
    const std::string path = group + "/" + name;
    const auto other = b.find(name);
    if (other == b.end()) {
      note({.name = path, .a = kind_of(tensor), .b = {}});
    } else if (TensorDifference difference = diff_tensors(path, tensor, other->second);
               !difference.comparable || difference.differing > 0) {
      note(std::move(difference));
    }
  }
  for (const auto& [name, tensor] : b) {
    if (a.contains(name)) continue;
    ++out.tensors_compared;
    note({.name = group + "/" + name, .a = {}, .b = kind_of(tensor)});
  }
}

void compare_element(const std::byte* a, const std::byte* b, DType dtype, TensorDifference& out) {
  const double x = element_value(a, dtype), y = element_value(b, dtype);
  if (!std::isfinite(x) || !std::isfinite(y)) {
    ++out.not_numbers;
    return;
  }
  const double absolute = std::abs(x - y);
  out.largest_absolute = std::max(out.largest_absolute, absolute);
  if (absolute > 0) out.largest_relative = std::max(out.largest_relative, absolute / std::max(std::abs(x), std::abs(y)));
}

}  // namespace

TensorDifference diff_tensors(const std::string& name, const Tensor& a, const Tensor& b) {
  TensorDifference out{.name = name, .a = kind_of(a), .b = kind_of(b)};
  out.comparable = a.dtype() == b.dtype() && a.shape() == b.shape();
  if (!out.comparable) return out;
  out.elements = a.elements();
  if (std::memcmp(a.bytes(), b.bytes(), a.size_bytes()) == 0) return out;
  const std::size_t size = size_of(a.dtype());
  for (std::int64_t i = 0; i < out.elements; ++i) {
    const std::byte* x = a.bytes() + static_cast<std::size_t>(i) * size;
    const std::byte* y = b.bytes() + static_cast<std::size_t>(i) * size;
    if (std::memcmp(x, y, size) == 0) continue;
    if (out.differing++ == 0) {
      out.first_index = index_text(i, a.shape());
      out.first_a = element_text(x, a.dtype());
      out.first_b = element_text(y, a.dtype());
    }
    compare_element(x, y, a.dtype(), out);
  }
  return out;
}

CheckpointDifference diff_checkpoints(const std::filesystem::path& a, const std::filesystem::path& b) {
  CheckpointDifference out;
  out.a = resolve_checkpoint(a);
  out.b = resolve_checkpoint(b);
  const Checkpoint first = read_checkpoint(out.a), second = read_checkpoint(out.b);
  out.step_a = first.step;
  out.step_b = second.step;
  out.digest_a = digest_of(first);
  out.digest_b = digest_of(second);
  out.state = diff_entries(state_of(first), state_of(second));
  out.run_record = diff_entries(first.run_record, second.run_record);
  out.other = diff_entries(others_of(first), others_of(second));
  const std::vector<std::string> lines_a = config_lines(first.config), lines_b = config_lines(second.config);
  out.config_a = lines_only_in(lines_a, lines_b);
  out.config_b = lines_only_in(lines_b, lines_a);
  for (const checkpoint_format::TensorGroup& group : checkpoint_format::kGroups)
    diff_group(group.name, first.*group.tensors, second.*group.tensors, out);
  return out;
}

}  // namespace convoy
