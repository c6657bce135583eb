#pragma once
// Which convoy this is.
#include <string>

namespace convoy {

/// "0.1.0 (Release, GNU 12.2.0)".
std::string convoy_version();

}  // namespace convoy
