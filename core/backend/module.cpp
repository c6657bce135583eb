#include "core/backend/module.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "core/backend/elf_file.h"
#include "module_build.h"

namespace convoy {
namespace {

std::string last_words() {
  const char* error = dlerror();
  std::string text = error ? error : "no reason is given";
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

std::string list(const std::vector<std::filesystem::path>& folders) {
  std::string text;
  for (const auto& folder : folders) text += (text.empty() ? "" : ", ") + folder.string();
  return text;
}

/// Those of $CONVOY_MODULES.
std::vector<std::filesystem::path> given_folders() {
  std::vector<std::filesystem::path> folders;
  const char* given = std::getenv("CONVOY_MODULES");
  const std::string text = given ? given : "";
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(':', begin), text.size());
    if (end > begin) folders.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return folders;
}

OpenedModule load(const std::filesystem::path& file, const std::string& function) {
  if (const std::string damage = why_not_whole(file); !damage.empty())
    return {nullptr, fmt::format("{} cannot be loaded: {}", file.string(), damage)};
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return {nullptr, fmt::format("{} cannot be loaded: {}", file.filename().string(), last_words())};
  const auto entry = reinterpret_cast<const ModuleHead* (*)()>(dlsym(library, function.c_str()));
  if (entry == nullptr) return {nullptr, fmt::format("{} is no module of convoy: {}", file.string(), last_words())};
  const ModuleHead* head = entry();
  if (std::string_view(head->build) != module_build())
    return {nullptr, fmt::format("{} belongs to another build of convoy ({}, this one is {}): install both from one build",
                                 file.string(), head->build, module_build())};
  return {head, {}};
}

}  // namespace

const char* module_build() { return CONVOY_MODULE_BUILD; }

std::vector<std::filesystem::path> module_folders() {
  std::vector<std::filesystem::path> folders = given_folders();
  std::error_code unknown;
  const auto binary = std::filesystem::read_symlink("/proc/self/exe", unknown);
  if (unknown) return folders;
  folders.push_back(binary.parent_path());
  folders.push_back(binary.parent_path().parent_path() / "lib");
  return folders;
}

std::string wrong_module_folder() {
  for (const auto& folder : given_folders()) {
    std::error_code unknown;
    if (!std::filesystem::is_directory(folder, unknown))
      return fmt::format("CONVOY_MODULES names {}, which is no folder: correct it, or unset it", folder.string());
  }
  return {};
}

OpenedModule open_module(std::string_view name, const std::vector<std::filesystem::path>& folders) {
  const std::string library = fmt::format("lib{}.so", name);
  for (const auto& folder : folders) {
    std::error_code unknown;
    if (std::filesystem::exists(folder / library, unknown)) return load(folder / library, fmt::format("{}_module", name));
  }
  return {nullptr, fmt::format("{} is in none of: {}; where CUDA is installed, `cmake --build build/release` builds it (its "
                               "target convoy alone does not)",
                               library, list(folders))};
}

}  // namespace convoy
