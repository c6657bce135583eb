#pragma once
// Text that comes from files and file names, made fit for a terminal.
#include <string>
#include <string_view>

namespace convoy {

/// `text` with control characters (but line breaks and tabs) and bytes that are not UTF-8 written as \x1b: a name in a data set
/// must not move the cursor, recolour the terminal or retitle its window.
std::string printable(std::string_view text);

}  // namespace convoy
