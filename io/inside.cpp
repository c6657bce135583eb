#include "io/inside.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/tensor/error.h"

namespace convoy {

namespace fs = std::filesystem;

bool leads_out(const fs::path& folder, const fs::path& entry) {
  std::error_code error;
  if (!fs::is_symlink(entry, error)) return false;
  const fs::path root = fs::canonical(folder, error);
  if (error) return true;
  const fs::path target = fs::canonical(entry, error);
  if (error) return true;
  return std::mismatch(root.begin(), root.end(), target.begin(), target.end()).first != root.end();
}

void refuse_link_out(const fs::path& folder, const fs::path& entry) {
  if (!leads_out(folder, entry)) return;
  throw DataError(fmt::format("{}: a link that leads out of {}, which convoy does not follow. Put the files themselves there, "
                              "or name the folder that holds them",
                              entry.string(), folder.string()));
}

}  // namespace convoy
