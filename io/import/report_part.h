#pragma once
// What an import says of single files: a table FILE<TAB>WHAT<TAB>WHY, made in parts (of the search, of every shard) that are
// joined at the end. Private to io/import.
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace convoy {

/// What became of a file: it is not in the data set, and was meant to be (bad) or not (left_out); or it is, with another
/// content (converted), or as it was although something about it is odd (kept).
enum class Fate { bad, left_out, converted, kept };
std::string_view name_of(Fate fate);

/// One part; appears whole or not at all.
class ReportPart {
 public:
  explicit ReportPart(std::filesystem::path file) : file_(std::move(file)) {}
  void add(const std::filesystem::path& file, Fate fate, const std::string& why);
  /// Throws LibraryError.
  void write() const;

 private:
  std::filesystem::path file_;
  std::string text_;
};

struct ReportRow {
  std::string file, why;
  Fate fate = Fate::bad;
};
/// Calls `take` for every row of a part; none where there is no such file.
void read_report_part(const std::filesystem::path& file, const std::function<void(const ReportRow&)>& take);

}  // namespace convoy
