#include "distributed/agreement.h"

#include <fmt/format.h>

#include <sstream>

#include "core/tensor/error.h"

namespace convoy {
namespace {

std::string difference(const std::string& expected, const std::string& found) {
  std::istringstream left(expected), right(found);
  for (int number = 1;; ++number) {
    std::string left_line = "(end of text)", right_line = left_line;
    const bool has_left = static_cast<bool>(std::getline(left, left_line));
    const bool has_right = static_cast<bool>(std::getline(right, right_line));
    if (!has_left) left_line = "(end of text)";
    if (!has_right) right_line = "(end of text)";
    if (left_line != right_line || (!has_left && !has_right)) {
      return fmt::format("line {}: rank 0 has \"{}\", it has \"{}\"", number, left_line, right_line);
    }
  }
}

}  // namespace

void check_agreement(Communicator& communicator, std::string_view name, const std::string& text) {
  const std::vector<std::string> texts = communicator.all_gather_strings(text);
  for (std::size_t r = 1; r < texts.size(); ++r) {
    if (texts[r] == texts[0]) continue;
    throw UsageError(
        fmt::format("rank {} differs from rank 0 in {}, {}. Start every rank with the same files and options",
                    r, name, difference(texts[0], texts[r])));
  }
}

}  // namespace convoy
