#pragma once
// Config files: INI with sections. Boost's own reader is not used because it forgets line numbers and cannot
// hold a
// '#' in a value.
//
//   # a comment, or one after a value when a blank precedes the #
//   run = lenet                 -> "run"
//   [train]
//   epochs = 5                  -> "train.epochs"
//   [data]
//   path = "with # inside"      quotes keep blanks and #; \" and \\ inside them
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

struct IniEntry {
  std::string name;  // with its section: "train.epochs"
  std::string value;
  int line = 0;
};

/// The entries in the file's order. Throws UsageError "FILE:LINE: ..." for a line that is none of the above, or
/// a name given twice.
std::vector<IniEntry> parse_ini(std::string_view text, std::string_view file);

/// `value` as it must stand in a file to be read back the same: quoted where needed. It holds no line break.
std::string ini_value(std::string_view value);

}  // namespace convoy
