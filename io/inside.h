#pragma once
// Files of a data set stay inside the folder that the user named: a link in it must not make convoy read something else.
#include <filesystem>

namespace convoy {

/// Whether `entry`, a path below `folder`, is a link that leads out of `folder` (or nowhere). `folder` itself may be reached
/// by links: the user named it.
bool leads_out(const std::filesystem::path& folder, const std::filesystem::path& entry);

/// Throws DataError saying how to mend it.
void refuse_link_out(const std::filesystem::path& folder, const std::filesystem::path& entry);

}  // namespace convoy
