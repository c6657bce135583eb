#include "io/import/report_part.h"

#include <array>
#include <fstream>

#include "io/atomic_file.h"

namespace convoy {
namespace {

constexpr std::array kFates{Fate::bad, Fate::left_out, Fate::converted, Fate::kept};

/// Names of files may hold the table's own separators: they become blanks.
std::string cell(std::string text) {
  for (char& c : text)
    if (c == '\t' || c == '\n' || c == '\r') c = ' ';
  return text;
}

}  // namespace

std::string_view name_of(Fate fate) {
  switch (fate) {
    case Fate::bad: return "bad";
    case Fate::left_out: return "left out";
    case Fate::converted: return "converted";
    case Fate::kept: return "kept";
  }
  return "?";
}

void ReportPart::add(const std::filesystem::path& file, Fate fate, const std::string& why) {
  text_ += cell(file.string()) + '\t' + std::string(name_of(fate)) + '\t' + cell(why) + '\n';
}

void ReportPart::write() const { write_file_atomically(file_, text_); }

void read_report_part(const std::filesystem::path& file, const std::function<void(const ReportRow&)>& take) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const std::size_t first = line.find('\t'), second = line.find('\t', first + 1);
    if (second == std::string::npos) continue;
    ReportRow row{line.substr(0, first), line.substr(second + 1)};
    for (const Fate fate : kFates)
      if (line.compare(first + 1, second - first - 1, name_of(fate)) == 0) row.fate = fate;
    take(row);
  }
}

}  // namespace convoy
