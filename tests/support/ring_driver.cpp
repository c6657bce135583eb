// A process that notes and mirrors like a rank, for tests that kill it:
//   ring_driver WATCH_FOLDER RANK SIZE MODE
// MODE: compute, checkpoint, peer:RANK: does that in step 37 until it is killed; busy: notes as fast as it can; end:
// leaves in order at once.
#include <unistd.h>

#include <cstring>
#include <string>

#include "core/trace/trace.h"
#include "io/atomic_file.h"
#include "io/ring_file.h"

namespace convoy {
namespace {

void note(const std::string& mode) {
  using trace::Activity;
  trace::name_thread("main");
  trace::at_step(37);
  if (mode == "checkpoint") trace::doing(Activity::checkpoint, "writing step-00000036.h5");
  else if (mode.starts_with("peer:")) trace::doing(Activity::peer, "gradient bucket 3", 4096, std::stoi(mode.substr(5)));
  else trace::doing(Activity::compute, "conv1 conv");
}

int drive(const std::filesystem::path& folder, int rank, int size, const std::string& mode) {
  note(mode);
  const RingFile file(folder, {.rank = rank, .size = size, .pid = getpid(), .host = host_name(), .life = 1});
  if (mode == "end") return 0;
  for (std::int64_t i = 0;; ++i) {
    if (mode == "busy") trace::doing(trace::Activity::compute, std::to_string(i), i);
    else pause();
  }
}

}  // namespace
}  // namespace convoy

int main(int count, char** words) {
  if (count != 5) return 2;
  return convoy::drive(words[1], std::atoi(words[2]), std::atoi(words[3]), words[4]);
}
