#include "launch/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "core/tensor/error.h"
#include "launch/printable.h"
#include "launch/suggest.h"

namespace convoy {
namespace {

bool takes(const OptionSpec& option, std::string_view command) {
  return std::any_of(option.commands.begin(), option.commands.end(),
                     [&](const std::string& taker) { return taker == "*" || taker == command; });
}

/// " from 1 to 9", " of at least 1", or "".
std::string range_of(const OptionSpec& option) {
  constexpr double kBoundless = 1e15;  // a bound that only keeps numbers exact is not worth a word
  const bool least = std::isfinite(option.least), most = option.most < kBoundless;
  const auto number = [&](double bound) {
    return option.type == OptionType::real ? fmt::format("{}", bound) : fmt::format("{:.0f}", bound);
  };
  if (least && most) return fmt::format(" from {} to {}", number(option.least), number(option.most));
  if (least) return fmt::format(" of at least {}", number(option.least));
  if (most) return fmt::format(" of at most {}", number(option.most));
  return "";
}

std::string expectation(const OptionSpec& option) {
  switch (option.type) {
    case OptionType::integer:
      return "a whole number" + range_of(option);
    case OptionType::real:
      return "a number" + range_of(option);
    case OptionType::yes_no:
      return "yes or no";
    case OptionType::choice:
      return fmt::format("one of {}", fmt::join(option.choices, ", "));
    case OptionType::choices:
      return fmt::format("one or more of {}, separated by commas", fmt::join(option.choices, ", "));
    case OptionType::integers:
      return "whole numbers" + range_of(option) + ", separated by commas";
    case OptionType::text:
    case OptionType::texts:
    case OptionType::path:
      return "text on one line, without control characters";
  }
  return "";
}

[[noreturn]] void reject(const OptionSpec& option, std::string_view value, std::string_view where) {
  constexpr std::size_t kShown = 200;
  value = value.substr(0, kShown);
  const std::string hint = option.type == OptionType::choice ? did_you_mean(value, option.choices) : "";
  throw UsageError(
      fmt::format("{}: {} = '{}': expected {}{}", where, option.name, printable(value), expectation(option), hint));
}

template <typename Number>
bool read_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

std::string checked_integer(const OptionSpec& option, std::string_view value, std::string_view where) {
  std::int64_t number = 0;
  if (!read_number(value, number)) reject(option, value, where);
  const auto exact = static_cast<double>(number);
  if (exact < option.least || exact > option.most) reject(option, value, where);
  return fmt::format("{}", number);
}

std::string checked_real(const OptionSpec& option, std::string_view value, std::string_view where) {
  double number = 0;
  if (!read_number(value, number) || !std::isfinite(number)) reject(option, value, where);
  if (number < option.least || number > option.most) reject(option, value, where);
  return fmt::format("{}", number);
}

std::string checked_integers(const OptionSpec& option, std::string_view value, std::string_view where) {
  std::string canonical;
  std::string_view rest = value;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find_first_of(",x"), rest.size());
    std::int64_t number = 0;
    const bool is_number = read_number(rest.substr(0, end), number);
    const auto exact = static_cast<double>(number);
    if (!is_number || exact < option.least || exact > option.most || end + 1 == rest.size()) {
      reject(option, value, where);
    }
    canonical += (canonical.empty() ? "" : ",") + std::to_string(number);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return canonical;
}

std::string checked_yes_no(const OptionSpec& option, std::string_view value, std::string_view where) {
  for (const char* word : {"yes", "true", "on", "1"}) {
    if (value == word) return "yes";
  }
  for (const char* word : {"no", "false", "off", "0"}) {
    if (value == word) return "no";
  }
  reject(option, value, where);
}

std::string checked_choice(const OptionSpec& option, std::string_view value, std::string_view where) {
  for (const Refusal& refusal : option.refused) {
    if (value == refusal.value) {
      throw UsageError(fmt::format("{}: {} = '{}': {} (expected {})", where, option.name, value, refusal.reason,
                                   expectation(option)));
    }
  }
  if (std::find(option.choices.begin(), option.choices.end(), value) == option.choices.end()) {
    reject(option, value, where);
  }
  return std::string(value);
}

std::string checked_choices(const OptionSpec& option, std::string_view value, std::string_view where) {
  std::vector<std::string_view> chosen;
  for (std::size_t begin = 0; begin <= value.size();) {
    const std::size_t end = std::min(value.find(',', begin), value.size());
    const std::string_view word = value.substr(begin, end - begin);
    const bool is_known = std::find(option.choices.begin(), option.choices.end(), word) != option.choices.end();
    if (!is_known || std::find(chosen.begin(), chosen.end(), word) != chosen.end()) reject(option, value, where);
    chosen.push_back(word);
    begin = end + 1;
  }
  return std::string(value);
}

std::string section_of(const std::string& name) {
  const std::size_t dot = name.find('.');
  return dot == std::string::npos ? "" : name.substr(0, dot);
}

/// "(default 5; at least 1)"
std::string remarks(const OptionSpec& option) {
  std::string remark;
  if (!option.same_as.empty()) {
    remark = "default: as " + option.same_as;
  } else if (!option.value.empty()) {
    remark = "default " + option.value;
  }
  const bool numeric = option.type == OptionType::integer || option.type == OptionType::real ||
                       option.type == OptionType::integers;
  const std::string range = numeric ? range_of(option) : "";
  if (!range.empty())
    remark += (remark.empty() ? "" : ";") + (range.starts_with(" of ") ? range.substr(3) : range);
  if (remark.starts_with(' ')) remark.erase(0, 1);
  return remark.empty() ? "" : " (" + remark + ")";
}

}  // namespace

std::vector<const OptionSpec*> options_of(std::string_view command) {
  std::vector<const OptionSpec*> options;
  for (const OptionSpec& option : option_table()) {
    if (takes(option, command)) options.push_back(&option);
  }
  return options;
}

const OptionSpec* find_option(std::string_view command, std::string_view name) {
  for (const OptionSpec& option : option_table()) {
    if (option.name == name && takes(option, command)) return &option;
  }
  return nullptr;
}

std::vector<std::string> takers_of(std::string_view name) {
  std::vector<std::string> takers;
  for (const OptionSpec& option : option_table()) {
    if (option.name == name) takers.insert(takers.end(), option.commands.begin(), option.commands.end());
  }
  return takers;
}

std::string checked_value(const OptionSpec& option, std::string_view value, std::string_view where) {
  switch (option.type) {
    case OptionType::integer:
      return checked_integer(option, value, where);
    case OptionType::real:
      return checked_real(option, value, where);
    case OptionType::yes_no:
      return checked_yes_no(option, value, where);
    case OptionType::choice:
      return checked_choice(option, value, where);
    case OptionType::choices:
      return checked_choices(option, value, where);
    case OptionType::integers:
      return checked_integers(option, value, where);
    case OptionType::text:
    case OptionType::texts:
    case OptionType::path:
      break;
  }
  const auto is_control = [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; };
  if (std::any_of(value.begin(), value.end(), is_control)) reject(option, value, where);
  return std::string(value);
}

std::string placeholder(const OptionSpec& option) {
  switch (option.type) {
    case OptionType::text:
      return "TEXT";
    case OptionType::texts:
      return "PATH [PATH ...]";
    case OptionType::integer:
      return "N";
    case OptionType::real:
      return "X";
    case OptionType::yes_no:
      return "yes|no";
    case OptionType::choice:
      return fmt::format("{}", fmt::join(option.choices, "|"));
    case OptionType::choices:
      return fmt::format("{}[,...]", fmt::join(option.choices, "|"));
    case OptionType::integers:
      return "N[,N...]";
    case OptionType::path:
      return "PATH";
  }
  return "";
}

std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
  std::string out;
  std::size_t column = indent;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (column > indent && column + 1 + end > width) {
      out += '\n' + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += text.substr(0, end);
    column += end;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string describe_options(std::string_view command) {
  constexpr std::size_t kColumn = 34, kWidth = 110;
  std::string out;
  std::string section = "none yet";
  for (const OptionSpec* option : options_of(command)) {
    if (const std::string of = section_of(option->name); of != section) {
      out += of.empty() ? "Options:\n" : fmt::format("\n[{}]\n", of);
      section = of;
    }
    const std::string left = fmt::format("  --{}={}", option->name, placeholder(*option));
    out += left.size() + 2 <= kColumn ? left + std::string(kColumn - left.size(), ' ')
                                      : left + '\n' + std::string(kColumn, ' ');
    out += wrapped(option->help + remarks(*option), kColumn, kWidth) + '\n';
  }
  return out;
}

}  // namespace convoy
