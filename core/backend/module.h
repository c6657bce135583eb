#pragma once
// Modules: parts of convoy in a shared library of their own (libconvoy_cuda.so, libconvoy_nccl.so), because they need
// libraries that most machines lack. The binary looks for them when it runs; without them it starts all the same.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

/// What tells this build from another: version, compiler and the headers where modules and the binary meet. The two pass
/// C++ objects to each other, so they must be of one build.
const char* module_build();

/// What the struct that a module gives begins with.
struct ModuleHead {
  const char* build;   // module_build() of the module
};

struct OpenedModule {
  const ModuleHead* head = nullptr;  // lives until the process ends: modules are never closed
  std::string why_not;               // one line, where head is null
};

/// Where modules are looked for, first to last: the folders of $CONVOY_MODULES (separated by ':'); the binary's own folder;
/// ../lib seen from there.
std::vector<std::filesystem::path> module_folders();

/// One line where a folder of $CONVOY_MODULES does not exist; empty: all do, or there is none.
std::string wrong_module_folder();

/// Loads lib<name>.so from the first folder that has it and calls its function <name>_module(), which returns a
/// ModuleHead. Its libraries and symbols stay its own (RTLD_LOCAL). Throws nothing: what is missing is told in why_not.
OpenedModule open_module(std::string_view name, const std::vector<std::filesystem::path>& folders = module_folders());

}  // namespace convoy
