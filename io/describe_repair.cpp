// What `convoy checkpoint repair` prints: io/checkpoint_repair.h.
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "io/checkpoint_repair.h"

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

const char* name_of(FileRepair::Outcome outcome) {
  switch (outcome) {
    case FileRepair::Outcome::good: return "good";
    case FileRepair::Outcome::repaired: return "repaired";
    case FileRepair::Outcome::damaged: break;
  }
  return "damaged";
}

Json json_of(const FileRepair& repair) {
  Json repairs = Json::array();
  for (const BitRepair& bit : repair.repairs)
    repairs.push_back({{"where", bit.where}, {"index", bit.index}, {"bit", bit.bit}, {"before", bit.before},
                       {"after", bit.after}, {"file_bit", bit.file_bit}});
  return {{"file", repair.file.string()}, {"outcome", name_of(repair.outcome)}, {"repairs", repairs},
          {"problems", repair.problems}, {"kept", repair.kept.string()}};
}

std::string line_of(const BitRepair& bit) {
  if (bit.index.empty()) return fmt::format("  {}: bit {} of byte {}\n", bit.where, bit.bit, bit.file_bit / 8);
  return fmt::format("  {} {}: bit {}, {} -> {}\n", bit.where, bit.index, bit.bit, bit.before, bit.after);
}

std::size_t count(const RunRepair& repair, FileRepair::Outcome outcome) {
  return static_cast<std::size_t>(std::count_if(repair.files.begin(), repair.files.end(),
                                                [&](const FileRepair& file) { return file.outcome == outcome; }));
}

}  // namespace

std::string to_text(const FileRepair& repair) {
  std::string text = repair.file.string() + ": ";
  if (repair.outcome == FileRepair::Outcome::damaged)
    text += "DAMAGED, and cannot be repaired";
  else
    text += name_of(repair.outcome);
  if (!repair.kept.empty()) text += fmt::format("; the damaged file is kept as {}", repair.kept.filename().string());
  text += '\n';
  for (const BitRepair& bit : repair.repairs) text += line_of(bit);
  for (const std::string& problem : repair.problems) text += "  " + problem + "\n";
  return text;
}

std::string to_json(const FileRepair& repair) { return dump(json_of(repair)); }

std::string to_text(const RunRepair& repair) {
  std::string text;
  for (const FileRepair& file : repair.files) text += to_text(file);
  for (const std::string& name : repair.leftovers) text += "left by a writer that died, removed: " + name + "\n";
  for (const std::string& change : repair.links) text += change + "\n";
  return text + fmt::format("{} checkpoints: {} good, {} repaired, {} damaged\n", repair.files.size(),
                            count(repair, FileRepair::Outcome::good), count(repair, FileRepair::Outcome::repaired),
                            count(repair, FileRepair::Outcome::damaged));
}

std::string to_json(const RunRepair& repair) {
  Json files = Json::array();
  for (const FileRepair& file : repair.files) files.push_back(json_of(file));
  return dump({{"good", repair.good()}, {"files", files}, {"leftovers", repair.leftovers}, {"links", repair.links}});
}

}  // namespace convoy
