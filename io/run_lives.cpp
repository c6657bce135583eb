#include "io/run_lives.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <fstream>
#include <iterator>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "io/atomic_file.h"
#include "io/checkpoint.h"
#include "io/ring_file.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "life-";
constexpr const char* kMark = "life.json";
constexpr int kHighestLife = 1'000'000'000;

fs::path folder_for(const fs::path& watch, int life) { return watch / fmt::format("{}{:04}", kPrefix, life); }

/// The number of "life-0007"; 0 for any name that folder_for would not give.
int life_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  int life = 0;
  if (!name.starts_with(kPrefix)) return 0;
  const auto parsed = std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), life);
  return parsed.ec == std::errc{} && life > 0 && life <= kHighestLife && fs::path(name) == folder_for("", life) ? life : 0;
}

LifeMark read_mark(const fs::path& folder) {
  std::error_code error;
  if (!fs::is_regular_file(folder / kMark, error)) return {};  // a FIFO would hold up the start
  std::ifstream in(folder / kMark, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  try {
    const auto json = nlohmann::json::parse(text);
    LifeMark mark{.life = json.at("life").get<int>(),
                  .began = json.at("began").get<std::string>(),
                  .step = json.at("step").get<std::int64_t>()};
    return mark.life > 0 && mark.life <= kHighestLife ? mark : LifeMark{};
  } catch (const nlohmann::json::exception&) {
    return {};
  }
}

std::vector<fs::path> ring_files(const fs::path& watch) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(watch))
    if (rank_of_ring(entry.path().filename().string())) files.push_back(entry.path());
  return files;
}

/// Of the files in watch/; 0: there are none.
int life_in(const fs::path& watch, const std::vector<fs::path>& rings) {
  int life = read_mark(watch).life;
  std::vector<std::string> damaged;
  if (!rings.empty())
    for (const RingReading& ring : read_rings(watch, damaged)) life = std::max(life, ring.identity.life);
  return life;
}

/// life.json goes last: whoever is killed on the way finds the rest of the same life the next time.
void put_aside(const fs::path& run_folder, const std::vector<fs::path>& rings, int life) {
  const fs::path watch = watch_folder(run_folder), aside = folder_for(watch, life);
  fs::create_directories(aside);
  if (fs::exists(run_folder / "status.json"))
    fs::copy_file(run_folder / "status.json", aside / "status.json", fs::copy_options::overwrite_existing);
  for (const fs::path& ring : rings) fs::rename(ring, aside / ring.filename());
  if (fs::exists(watch / kMark)) fs::rename(watch / kMark, aside / kMark);
}

std::string mark_text(const fs::path& run_folder, int life) {
  const std::vector<std::int64_t> steps = CheckpointFolder(run_folder / "checkpoints").steps();
  return nlohmann::ordered_json{{"life", life},
                                {"began", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
                                {"step", steps.empty() ? 0 : steps.front()}}
             .dump() +
         "\n";
}

}  // namespace

fs::path watch_folder(const fs::path& run_folder) { return run_folder / "watch"; }

int begin_life(const fs::path& run_folder, std::string& warning) {
  const fs::path watch = watch_folder(run_folder);
  int highest = 0;
  try {
    fs::create_directories(watch);
    for (const Life& life : earlier_lives(run_folder)) highest = std::max(highest, life.mark.life);
    const std::vector<fs::path> rings = ring_files(watch);
    if (!rings.empty() || fs::exists(watch / kMark)) {
      const int before = life_in(watch, rings);
      const int life = before > 0 ? before : highest + 1;
      highest = std::max(highest, life);
      put_aside(run_folder, rings, life);
    }
    std::vector<Life> lives = earlier_lives(run_folder);
    for (std::size_t i = 0; i + kLivesKept < lives.size(); ++i) fs::remove_all(lives[i].folder);
    write_file_atomically(watch / kMark, mark_text(run_folder, highest + 1));
  } catch (const std::exception& error) {
    warning = fmt::format("the flight recorder's folder {}: {}; `convoy doctor` will know less of this life",
                          watch.string(), error.what());
  }
  return highest + 1;
}

std::vector<Life> earlier_lives(const fs::path& run_folder) {
  std::vector<Life> lives;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(watch_folder(run_folder), error)) {
    const int number = life_of(entry.path());
    if (number == 0 || !entry.is_directory(error)) continue;
    lives.push_back({entry.path(), read_mark(entry.path())});
    lives.back().mark.life = number;
  }
  std::sort(lives.begin(), lives.end(), [](const Life& a, const Life& b) { return a.mark.life < b.mark.life; });
  return lives;
}

LifeMark newest_life(const fs::path& run_folder) { return read_mark(watch_folder(run_folder)); }

}  // namespace convoy
