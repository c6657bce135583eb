#include <algorithm>
#include <bit>
#include <cmath>

#include <fmt/format.h>

#include "core/random/sha256.h"
#include "core/tensor/error.h"
#include "io/checkpoint.h"
#include "io/checkpoint_format.h"
#include "io/crc32c.h"

namespace convoy {

static_assert(std::endian::native == std::endian::little, "tensors are hashed and stored as they lie in memory");

namespace checkpoint_format {
namespace {

std::string bits(double value) { return fmt::format("{:016x}", std::bit_cast<std::uint64_t>(value)); }

/// One field of a line: neither tab nor newline may be left in it.
std::string escaped(std::string_view text) {
  std::string line;
  for (char c : text) switch (c) {
      case '\\': line += "\\\\"; break;
      case '\n': line += "\\n"; break;
      case '\t': line += "\\t"; break;
      case '\r': line += "\\r"; break;
      default: line += c;
    }
  return line;
}

std::string tensor_line(const std::string& path, const Tensor& tensor, const std::string& checksum) {
  return fmt::format("{}\t{}\t{}\t{}", path, name_of(tensor.dtype()), tensor.shape().str(), checksum);
}

std::string joined(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line + '\n';
  return text;
}

void check_text(std::string_view what, std::string_view text) {
  if (text.find('\0') != text.npos)
    throw UsageError(fmt::format("checkpoint: {} holds a NUL character; texts of a checkpoint are UTF-8 without NUL",
                                 what));
}

void check_number(std::string_view what, double value) {
  if (std::isnan(value)) throw UsageError(fmt::format("checkpoint: {} is NaN; a checkpoint holds numbers only", what));
}

void check_name(const std::string& path) {
  const auto refuse = [&](std::string_view why) {
    throw UsageError(fmt::format("checkpoint: the tensor name \"{}\" {}", escaped(path), why));
  };
  if (path.size() > kMaxName) refuse(fmt::format("is longer than {} bytes", kMaxName));
  std::size_t parts = 0;
  for (std::size_t begin = 0; begin <= path.size(); ++parts) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = std::string_view(path).substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") refuse("has a part that is empty, \".\" or \"..\"");
    for (char c : part)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) refuse("has a control character");
    begin = end + 1;
  }
  if (parts > kMaxDepth) refuse(fmt::format("has more than {} parts", kMaxDepth));
}

void check_tensors(const std::string& group, const std::map<std::string, Tensor>& tensors) {
  for (const auto& [name, tensor] : tensors) {
    check_name(group + "/" + name);
    if (!tensor.valid()) throw UsageError(fmt::format("checkpoint: the tensor {}/{} has no storage", group, name));
    const auto inside = tensors.lower_bound(name + "/");
    if (inside != tensors.end() && inside->first.starts_with(name + "/"))
      throw UsageError(fmt::format("checkpoint: {0}/{1} cannot be a tensor and the folder of {0}/{2}; rename one", group,
                                   name, inside->first));
  }
}

}  // namespace

void check_storable(const Checkpoint& checkpoint) {
  for (const TensorGroup& group : kGroups) check_tensors(group.name, checkpoint.*group.tensors);
  check_text("the config", checkpoint.config);
  check_text("the graph hash", checkpoint.graph_hash);
  check_text("the metrics", checkpoint.metrics);
  for (const auto& [name, value] : checkpoint.run_record) {
    check_text("a name of the run record", name);
    check_text(name + " of the run record", value);
  }
  for (const auto& [name, value] : checkpoint.mode) {
    check_text("a name of the mode's state", name);
    check_text(name + " of the mode's state", value);
  }
  check_number("the loss scale", checkpoint.loss_scale);
  check_number("the epoch", checkpoint.epoch);
  if (checkpoint.best) check_number("the best metric", checkpoint.best->first);
  if (checkpoint.step < 0) throw UsageError(fmt::format("checkpoint: step {} is negative", checkpoint.step));
}

std::vector<std::string> state_lines(const Checkpoint& c) {
  std::vector<std::string> lines{fmt::format("@step\t{}", c.step), fmt::format("@updates\t{}", c.updates),
                                 fmt::format("@loss_scale\t{}", bits(c.loss_scale)),
                                 fmt::format("@loss_scale_counter\t{}", c.loss_scale_counter),
                                 c.best ? fmt::format("@best\t{}\t{}", bits(c.best->first), c.best->second)
                                        : std::string("@best\tnone")};
  for (std::size_t i = 0; i < c.ledgers.size(); ++i)
    lines.push_back(fmt::format("@ledger\t{}\t{}\t{}\t{}\t{}", i, c.ledgers[i].epoch, c.ledgers[i].count,
                                c.ledgers[i].sum, c.ledgers[i].exclusive_or));
  for (std::size_t i = 0; i < c.skipped_steps.size(); ++i)
    lines.push_back(fmt::format("@skipped\t{}\t{}", i, c.skipped_steps[i]));
  for (const auto& [name, value] : c.mode) lines.push_back(fmt::format("@mode\t{}\t{}", escaped(name), escaped(value)));
  for (const auto& [name, value] : c.run_record)
    lines.push_back(fmt::format("@run_record\t{}\t{}", escaped(name), escaped(value)));
  return lines;
}

std::uint32_t content_checksum(const Checkpoint& c, const TensorChecksums& checksums) {
  std::vector<std::string> lines = state_lines(c);
  for (const TensorGroup& group : kGroups)
    for (const auto& [name, tensor] : c.*group.tensors) {
      const std::string path = std::string(group.name) + "/" + name;
      lines.push_back(tensor_line(path, tensor, fmt::format("{:08x}", checksums.at(path))));
    }
  lines.push_back("@graph_hash\t" + escaped(c.graph_hash));
  lines.push_back(fmt::format("@world_size\t{}", c.world_size));
  lines.push_back("@epoch\t" + bits(c.epoch));
  lines.push_back("@config\t" + escaped(c.config));
  lines.push_back("@metrics\t" + escaped(c.metrics));
  const std::string text = joined(std::move(lines));
  return crc32c(text.data(), text.size());
}

}  // namespace checkpoint_format

std::string digest_of(const Checkpoint& checkpoint) {
  using namespace checkpoint_format;
  check_storable(checkpoint);
  std::vector<std::string> lines = state_lines(checkpoint);
  for (const TensorGroup& group : kGroups)
    for (const auto& [name, tensor] : checkpoint.*group.tensors)
      lines.push_back(tensor_line(std::string(group.name) + "/" + name, tensor,
                                  hex(Sha256().update(tensor.bytes(), tensor.size_bytes()).finish())));
  return hex(sha256(joined(std::move(lines))));
}

}  // namespace convoy
