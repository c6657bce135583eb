#pragma once
// All that is wrong with what a user gave, told at once.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "core/tensor/error.h"

namespace convoy {

class Mistakes {
 public:
  /// Keeps the UsageError that `check` throws.
  template <typename Check>
  void attempt(const Check& check) {
    try {
      check();
    } catch (const UsageError& error) {
      found_.emplace_back(error.what());
    }
  }
  /// Throws one UsageError for all that were kept, if any were.
  void tell() const {
    if (found_.empty()) return;
    if (found_.size() == 1) throw UsageError(found_.front());
    std::string text = fmt::format("{} mistakes:", found_.size());
    for (std::size_t i = 0; i < found_.size() && i < kShown; ++i) text += fmt::format(" ({}) {}{}", i + 1, found_[i], i + 1 < found_.size() ? ";" : "");
    if (found_.size() > kShown) text += fmt::format(" and {} more", found_.size() - kShown);
    throw UsageError(text);
  }

 private:
  static constexpr std::size_t kShown = 10;
  std::vector<std::string> found_;
};

}  // namespace convoy
