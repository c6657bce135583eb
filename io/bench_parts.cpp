#include "io/bench_parts.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>

#include "core/tensor/error.h"
#include "io/files.h"

namespace convoy {

namespace fs = std::filesystem;

ScratchFolder::ScratchFolder(const fs::path& parent) {
  std::string name = ((parent.empty() ? fs::temp_directory_path() : parent) / "convoy-bench-XXXXXX").string();
  if (!::mkdtemp(name.data())) throw LibraryError(fmt::format("{}: cannot be made: {}", name, system_message(errno)));
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace convoy
