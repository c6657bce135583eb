#pragma once
// What the actions of convoy data share: how they read options and show what they find.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"
#include "io/import/import.h"
#include "launch/commands/commands.h"
#include "launch/config.h"

namespace convoy {

Action import_action();

/// To stdout. Names of files may hold bytes that are not UTF-8: they become U+FFFD.
void print_json(const nlohmann::ordered_json& json);
bool wants_json(const Config& config);
/// The value of an option that has no sensible default; throws UsageError where it is missing.
std::filesystem::path needed(const Config& config, const std::string& name);
/// On a terminal a line that is rewritten, elsewhere one line for each finished piece of work.
ProgressSink progress_on_stderr();

std::string bytes_text(std::int64_t bytes);
nlohmann::ordered_json path_list(const std::vector<std::filesystem::path>& files);
std::vector<std::int64_t> extents_of(const Shape& shape);
/// "[28, 28, 1] uint8", or "jpeg pictures of 3 channels".
std::string kind_text(const std::string& encoding, const Shape& sample, DType dtype);

}  // namespace convoy
