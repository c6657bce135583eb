#pragma once
// Runs what a user would type, and keeps what he would see.
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "io/temporary_folder.h"

namespace convoy {

struct Outcome {
  int status = -1;
  std::string out, err;
};

/// `command` as bash takes it, in `folder` where one is given.
inline Outcome run_command(const std::string& command, const std::filesystem::path& folder = ".", int limit_seconds = 60) {
  const TemporaryFolder scratch;
  write_bytes(scratch.path() / "command", command);
  const std::string line = "cd '" + folder.string() + "' && timeout -k 2 " + std::to_string(limit_seconds) + " bash '" +
                           (scratch.path() / "command").string() + "' > '" + (scratch.path() / "out").string() +
                           "' 2> '" + (scratch.path() / "err").string() + "' < /dev/null";
  const int raw = std::system(line.c_str());
  return {WIFEXITED(raw) ? WEXITSTATUS(raw) : -1, bytes_of(scratch.path() / "out"),
          bytes_of(scratch.path() / "err")};
}

/// The binary of this build with `arguments`.
inline Outcome convoy_with(const std::string& arguments) {
  return run_command(std::string("'") + CONVOY_BINARY + "' " + arguments);
}

inline std::ptrdiff_t lines_in(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

}  // namespace convoy
