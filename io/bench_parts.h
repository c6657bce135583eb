#pragma once
// What the loader's benchmarks share. Private to io.
#include <chrono>
#include <cstdint>
#include <filesystem>

namespace convoy {

/// A folder that goes with its owner.
class ScratchFolder {
 public:
  /// Below `parent`, or the system's temporary folder. Throws LibraryError.
  explicit ScratchFolder(const std::filesystem::path& parent);
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Calls `batch` (which takes the number of the micro-batch) until `seconds` have passed; samples per second.
template <typename Batch>
double rate(double seconds, std::int64_t rows, Batch batch) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  std::chrono::duration<double> passed{0};
  std::int64_t done = 0;
  for (; passed.count() < seconds; ++done) {
    batch(done);
    passed = Clock::now() - start;
  }
  return static_cast<double>(done * rows) / passed.count();
}

}  // namespace convoy
