#pragma once
// Looks for processes, by /proc, and waits for what they do.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace convoy {

/// Pids of processes of `program` that train this run: their command lines name it.
inline std::vector<int> ranks_of(const std::filesystem::path& runs, const std::string& run,
                                 const std::string& program = CONVOY_BINARY) {
  std::vector<int> pids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    const std::string line((std::istreambuf_iterator<char>(file)), {});
    const std::string word = std::string("--run=") + run + '\0';
    if (line.starts_with(program) && line.find(word) != std::string::npos &&
        line.find(runs.string()) != std::string::npos)
      pids.push_back(std::stoi(name));
  }
  return pids;
}

/// The process that started `pid`; 0: there is none any more.
inline int parent_of(int pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;)
    if (int parent = 0; word == "PPid:" && status >> parent) return parent;
  return 0;
}

/// Whether `condition` came true within `limit`.
template <typename Condition>
bool eventually(Condition condition, std::chrono::seconds limit = std::chrono::seconds(60)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace convoy
