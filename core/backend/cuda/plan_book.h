#pragma once
// Plans: which of a library's ways to compute a problem was chosen by timing. Choices are text (CudnnEngine::text, ...); a
// book holds those of one device and one set of library versions, for the run record, for the other ranks and, as a file,
// for later runs.
//
// The text of a book, which is its file too: lines
//   convoy-plans 1
//   device NVIDIA H200
//   library cuDNN 9.19.0, cuBLASLt 13.1.0
//   PROBLEM -> PLAN            any number, sorted by problem
//   end N HASH                 N plans; the first 16 digits of the SHA-256 of all lines before
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

namespace convoy::cuda {

/// The plan of a problem for which the library has none that serves: known to all who adopt it, so that none of them looks
/// for one of its own. Not kept in files, for another day's device may have more memory free.
inline constexpr std::string_view kNoPlan = "none";

class PlanBook {
 public:
  PlanBook(std::string device, std::string library) : device_(std::move(device)), library_(std::move(library)) {}

  enum class Source { none, cache, adopted, timed };
  struct Found {
    std::string plan;
    Source source = Source::none;
  };
  /// The plan of a problem, which is in use from now on.
  Found find(const std::string& problem);
  /// What was timed just now; in use.
  void put(const std::string& problem, const std::string& plan);

  /// Plans in use and adopted ones; empty where there are none.
  std::string text() const;
  /// Takes over what another book's text() says. Returns why not, in words; empty: done. Another device's or library's plans
  /// are not taken.
  std::string adopt(const std::string& text);

  /// Reads this device's file in `folder`, if there is one. Returns a warning where it is damaged; then it is as if it were
  /// not there.
  std::string load(const std::filesystem::path& folder);
  /// Writes what was timed since, together with what the file holds by now; by a new file's rename. Returns a warning where
  /// that fails.
  std::string save(const std::filesystem::path& folder);
  std::filesystem::path file_in(const std::filesystem::path& folder) const;

 private:
  struct Entry {
    std::string plan;
    Source source;
    bool in_use;
  };
  using Plans = std::map<std::string, std::string>;

  std::string write(const Plans& plans) const;
  /// False, with the reason, for text that is damaged or speaks of something else.
  bool read(const std::string& text, Plans* plans, std::string* why_not) const;

  std::string device_, library_;
  std::map<std::string, Entry> entries_;
  bool unsaved_ = false;
};

}  // namespace convoy::cuda
