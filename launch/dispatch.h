#pragma once
// From the words of the command line to an exit status.
#include <string>
#include <vector>

namespace convoy {

/// `words`: the command line without the program's name. Prints help to stdout, one line to stderr where it
/// fails, and returns the exit status. Never throws.
int dispatch(const std::vector<std::string>& words);

}  // namespace convoy
