#pragma once
// The lives of a run. Each start of a run in its folder is a life with a number; the flight recorder's files
// (io/ring_file.h) of the newest life lie in RUN/watch, those of earlier ones in RUN/watch/life-0007, with the status.json
// that they ended with, if they left one. watch/life.json: {"life": 8, "began": "2025-01-31T12:00:00Z", "step": 350}, with
// the step of the newest checkpoint when the life began.
#include <filesystem>
#include <string>
#include <vector>

namespace convoy {

inline constexpr int kLivesKept = 10;

/// RUN/watch
std::filesystem::path watch_folder(const std::filesystem::path& run_folder);

/// Begins a life: puts an earlier one's files aside, keeps the newest kLivesKept of those, and returns the number of this
/// one, one more than the highest there. Rank 0 alone, holding the run's lock, before status.json is removed. Never throws
/// for what the file system does: then `warning` is a sentence, and the number may be that of an earlier life.
int begin_life(const std::filesystem::path& run_folder, std::string& warning);

/// What watch/life.json or watch/life-0007/life.json says.
struct LifeMark {
  int life = 0;
  std::string began;        // UTC
  std::int64_t step = 0;    // of the newest checkpoint then; 0: none
};

struct Life {
  std::filesystem::path folder;  // RUN/watch/life-0007
  LifeMark mark;                 // its number, from the folder's name; `began` empty where life.json is lost
};

/// The earlier lives that are kept, oldest first.
std::vector<Life> earlier_lives(const std::filesystem::path& run_folder);

/// The newest life; number 0 where watch/life.json is missing or damaged.
LifeMark newest_life(const std::filesystem::path& run_folder);

}  // namespace convoy
