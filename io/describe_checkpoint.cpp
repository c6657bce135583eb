#include "io/describe_checkpoint.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "io/checkpoint_format.h"
#include "io/checkpoint_scan.h"

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;

/// Bytes that are not UTF-8 (a config in another encoding) become U+FFFD.
std::string dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

/// The metrics as JSON where they are that; else the text, so that nothing is hidden.
Json metrics_of(const std::string& text) {
  if (text.empty()) return Json();
  const Json parsed = Json::parse(text, nullptr, false);
  return parsed.is_discarded() ? Json(text) : parsed;
}

Json ledgers_of(const Checkpoint& checkpoint) {
  Json list = Json::array();
  for (const EpochLedger& ledger : checkpoint.ledgers)
    list.push_back({{"epoch", ledger.epoch}, {"count", ledger.count}, {"sum", ledger.sum}, {"xor", ledger.exclusive_or}});
  return list;
}

Json tensors_of(const CheckpointDescription& description) {
  Json list = Json::array();
  for (const TensorSummary& tensor : description.tensors)
    list.push_back({{"name", tensor.name},
                    {"dtype", name_of(tensor.dtype)},
                    {"shape", std::vector<std::int64_t>(tensor.shape.extents().begin(), tensor.shape.extents().end())},
                    {"bytes", tensor.size_bytes}});
  return list;
}

std::string facts(const CheckpointDescription& d) {
  const Checkpoint& c = d.checkpoint;
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    text += fmt::format("{:<20} {}\n", name, value);
  };
  line("file", fmt::format("{} ({} bytes)", d.file.string(), d.size_bytes));
  line("step", fmt::format("{}", c.step));
  line("epoch", fmt::format("{:g}", c.epoch));
  line("digest", d.digest);
  line("parameters", fmt::format("{}", d.parameter_count));
  line("updates", fmt::format("{}", c.updates));
  line("loss scale", fmt::format("{:g} (counter {})", c.loss_scale, c.loss_scale_counter));
  line("best", c.best ? fmt::format("{:g} at step {}", c.best->first, c.best->second) : "none yet");
  line("skipped steps", c.skipped_steps.empty() ? "none" : fmt::format("{}", fmt::join(c.skipped_steps, ", ")));
  for (const auto& [name, value] : c.mode) line(name, value);
  for (const EpochLedger& l : c.ledgers)
    line("ledger", fmt::format("epoch {}: {} samples, sum {}, xor {}", l.epoch, l.count, l.sum, l.exclusive_or));
  line("written by", fmt::format("{} rank{}", c.world_size, c.world_size == 1 ? "" : "s"));
  line("graph", c.graph_hash.empty() ? "not recorded" : c.graph_hash);
  if (!c.metrics.empty()) line("metrics", c.metrics);
  return text;
}

}  // namespace

CheckpointDescription describe_checkpoint(const std::filesystem::path& path) {
  CheckpointDescription description;
  description.file = resolve_checkpoint(path);
  description.checkpoint = read_checkpoint(description.file);
  description.size_bytes = std::filesystem::file_size(description.file);
  description.digest = digest_of(description.checkpoint);
  for (const checkpoint_format::TensorGroup& group : checkpoint_format::kGroups) {
    auto& tensors = description.checkpoint.*group.tensors;
    for (const auto& [name, tensor] : tensors)
      description.tensors.push_back(
          {std::string(group.name) + "/" + name, tensor.dtype(), tensor.shape(), tensor.size_bytes()});
  }
  for (const auto& [name, tensor] : description.checkpoint.parameters) description.parameter_count += tensor.elements();
  for (const checkpoint_format::TensorGroup& group : checkpoint_format::kGroups)
    (description.checkpoint.*group.tensors).clear();
  return description;
}

std::string to_text(const CheckpointDescription& description, std::size_t most) {
  const auto& all = description.tensors;
  const std::size_t shown = std::min(most, all.size());
  std::string text = facts(description) + "\ntensors\n";
  std::size_t width = 0;
  for (std::size_t i = 0; i < shown; ++i) width = std::max(width, all[i].name.size());
  for (std::size_t i = 0; i < shown; ++i)
    text += fmt::format("  {:<{}}  {:<8}  {}\n", all[i].name, width, name_of(all[i].dtype), all[i].shape.str());
  if (shown < all.size()) text += fmt::format("  and {} more (--all shows them)\n", all.size() - shown);
  text += "\nrun record\n";
  for (const auto& [name, value] : description.checkpoint.run_record) text += fmt::format("  {} = {}\n", name, value);
  text += "\nconfig\n" + description.checkpoint.config;
  if (text.back() != '\n') text += '\n';
  return text;
}

std::string to_json(const CheckpointDescription& description) {
  const Checkpoint& c = description.checkpoint;
  Json json{{"file", description.file.string()}, {"bytes", description.size_bytes}, {"step", c.step},
            {"epoch", c.epoch}, {"digest", description.digest}, {"world_size", c.world_size},
            {"graph_hash", c.graph_hash}, {"updates", c.updates}, {"loss_scale", c.loss_scale},
            {"loss_scale_counter", c.loss_scale_counter}};
  json["best"] = c.best ? Json{{"metric", c.best->first}, {"step", c.best->second}} : Json();
  json["ledgers"] = ledgers_of(c);
  json["skipped_steps"] = c.skipped_steps;
  json["run_record"] = c.run_record;
  if (!c.mode.empty()) json["mode"] = c.mode;
  json["config"] = c.config;
  json["metrics"] = metrics_of(c.metrics);
  json["parameter_count"] = description.parameter_count;
  json["tensors"] = tensors_of(description);
  return dump(json);
}

bool CheckpointVerification::good() const {
  return std::all_of(items.begin(), items.end(), [](const VerifiedItem& item) { return item.problem.empty(); });
}

CheckpointVerification verify_checkpoint(const std::filesystem::path& file) {
  CheckpointVerification verification{file, {}};
  for (const checkpoint_format::ScanItem& item : checkpoint_format::scan_checkpoint(file).items)
    verification.items.push_back({item.name, item.problem});
  return verification;
}

std::string to_text(const CheckpointVerification& verification) {
  std::string text;
  std::size_t bad = 0;
  for (const VerifiedItem& item : verification.items) {
    if (item.problem.empty()) continue;
    text += fmt::format("BAD  {}: {}\n", item.name, item.problem);
    ++bad;
  }
  return text + fmt::format("{}: {}, {} items checked, {} bad\n", verification.file.string(),
                            bad == 0 ? "good" : "DAMAGED", verification.items.size(), bad);
}

std::string to_json(const CheckpointVerification& verification) {
  Json items = Json::array();
  for (const VerifiedItem& item : verification.items)
    items.push_back({{"name", item.name}, {"good", item.problem.empty()}, {"problem", item.problem}});
  return dump({{"file", verification.file.string()}, {"good", verification.good()}, {"items", items}});
}

}  // namespace convoy
