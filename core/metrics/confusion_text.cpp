// ConfusionMatrix::text: tables for the terminal.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "core/metrics/confusion.h"

namespace convoy {
namespace {

constexpr std::size_t kLongestName = 24;  // columns
constexpr std::size_t kMistakesListed = 12;

bool starts_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }  // UTF-8

std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

// The name in exactly `width` columns, its end replaced by ".." where it is too long.
std::string fitted(const std::string& name, std::size_t width) {
  const std::size_t length = columns(name);
  if (length <= width) return name + std::string(width - length, ' ');
  std::string text;
  std::size_t kept = 0;
  for (const char byte : name) {
    if (starts_character(byte) && ++kept > width - 2) break;
    text += byte;
  }
  return text + "..";
}

std::string percent(double share) { return std::isnan(share) ? "-" : fmt::format("{:.2f}%", 100 * share); }

struct Layout {
  std::size_t name = 4;   // columns of the widest class name, "true" at least
  std::size_t index = 1;  // digits of the last class's number
  std::size_t cell = 3;   // columns of the widest count or class number
};

Layout layout_of(const ConfusionMatrix& matrix) {
  Layout layout;
  for (const std::string& name : matrix.class_names()) layout.name = std::max(layout.name, columns(name));
  layout.name = std::min(layout.name, kLongestName);
  layout.index = std::to_string(matrix.classes() - 1).size();
  for (const std::int64_t count : matrix.counts())
    layout.cell = std::max(layout.cell, std::to_string(count).size());
  layout.cell = std::max(layout.cell, layout.index);
  return layout;
}

std::string class_table(const ConfusionMatrix& matrix, const Layout& layout) {
  std::string text =
      fmt::format("{:>{}}  {} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "#", layout.index, fitted("class", layout.name),
                  "samples", "predicted", "precision", "recall", "F1");
  for (int i = 0; i < matrix.classes(); ++i)
    fmt::format_to(std::back_inserter(text), "{:>{}}  {} {:>9} {:>9} {:>9} {:>9} {:>9}\n", i, layout.index,
                   fitted(matrix.class_names()[static_cast<std::size_t>(i)], layout.name), matrix.support(i),
                   matrix.predictions(i), percent(matrix.precision(i)), percent(matrix.recall(i)),
                   percent(matrix.f1(i)));
  return text;
}

std::string matrix_table(const ConfusionMatrix& matrix, const Layout& layout) {
  std::string text =
      fmt::format("{} predicted as class number (. = 0)\n{:>{}}  {}",
                  fitted("", layout.name + layout.index + 2), "#", layout.index, fitted("true", layout.name));
  for (int j = 0; j < matrix.classes(); ++j)
    fmt::format_to(std::back_inserter(text), " {:>{}}", j, layout.cell);
  text += '\n';
  for (int i = 0; i < matrix.classes(); ++i) {
    fmt::format_to(std::back_inserter(text), "{:>{}}  {}", i, layout.index,
                   fitted(matrix.class_names()[static_cast<std::size_t>(i)], layout.name));
    for (int j = 0; j < matrix.classes(); ++j) {
      const std::int64_t count = matrix.count(i, j);
      fmt::format_to(std::back_inserter(text), " {:>{}}", count ? std::to_string(count) : ".", layout.cell);
    }
    text += '\n';
  }
  return text;
}

std::string mistakes(const ConfusionMatrix& matrix, const Layout& layout) {
  struct Mistake {
    int label, predicted;
  };
  std::vector<Mistake> found;
  for (int i = 0; i < matrix.classes(); ++i)
    for (int j = 0; j < matrix.classes(); ++j)
      if (i != j && matrix.count(i, j)) found.push_back({i, j});
  if (found.empty()) return "no mistakes\n";
  std::stable_sort(found.begin(), found.end(), [&](const Mistake& a, const Mistake& b) {
    return matrix.count(a.label, a.predicted) > matrix.count(b.label, b.predicted);
  });
  const std::size_t shown = std::min(found.size(), kMistakesListed);
  std::string text = "most frequent mistakes\n";
  for (std::size_t m = 0; m < shown; ++m) {
    const auto [label, predicted] = found[m];
    const std::int64_t count = matrix.count(label, predicted);
    fmt::format_to(std::back_inserter(text), "  {:>{}}  {} taken for {} {:>8} of its samples\n", count,
                   layout.cell, fitted(matrix.class_names()[static_cast<std::size_t>(label)], layout.name),
                   fitted(matrix.class_names()[static_cast<std::size_t>(predicted)], layout.name),
                   percent(static_cast<double>(count) / static_cast<double>(matrix.support(label))));
  }
  if (shown < found.size())
    fmt::format_to(std::back_inserter(text), "  and {} other pairs of classes\n", found.size() - shown);
  return text;
}

}  // namespace

std::string ConfusionMatrix::text(int width) const {
  const Layout layout = layout_of(*this);
  const std::size_t row =
      layout.index + 2 + layout.name + static_cast<std::size_t>(classes()) * (layout.cell + 1);
  std::string text = fmt::format("accuracy {} ({} of {}), macro F1 {}\n\n", percent(accuracy()), correct(),
                                 total(), percent(macro_f1()));
  text += class_table(*this, layout) + '\n';
  if (row <= static_cast<std::size_t>(std::max(width, 0)))
    text += matrix_table(*this, layout);
  else
    fmt::format_to(std::back_inserter(text),
                   "The {} x {} matrix is wider than {} columns: see --format=json.\n", classes(), classes(),
                   width);
  return text + '\n' + mistakes(*this, layout);
}

}  // namespace convoy
