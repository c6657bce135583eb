#include "launch/ini.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "core/tensor/error.h"
#include "launch/printable.h"

namespace convoy {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// Cuts a comment: a # or ; at the start, or after a blank.
std::string_view without_comment(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool begins = i == 0 || kBlanks.find(text[i - 1]) != std::string_view::npos;
    if (begins && (text[i] == '#' || text[i] == ';')) return text.substr(0, i);
  }
  return text;
}

bool is_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

/// For messages: a line that is no config may be long.
std::string clipped(std::string_view text) { return printable(text.substr(0, 120)); }

std::string unquoted(std::string_view text, std::string_view where) {
  std::string value;
  std::size_t i = 1;
  for (; i < text.size() && text[i] != '"'; ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    value += text[i];
  }
  if (i >= text.size()) throw UsageError(fmt::format("{}: expected a closing quote (\") in: {}", where, clipped(text)));
  if (!trim(without_comment(text.substr(i + 1))).empty()) {
    throw UsageError(fmt::format("{}: expected nothing after the closing quote, found: {}", where, clipped(text)));
  }
  return value;
}

}  // namespace

std::vector<IniEntry> parse_ini(std::string_view text, std::string_view file) {
  std::vector<IniEntry> entries;
  std::map<std::string, int> line_of;
  std::string section;
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    const std::string where = fmt::format("{}:{}", file, number);
    const std::string_view bare = trim(without_comment(line));
    if (bare.empty()) continue;
    if (bare.front() == '[') {
      const std::string_view name = trim(bare.substr(1, bare.size() - 2));
      if (bare.back() != ']' || !is_name(name)) {
        throw UsageError(fmt::format("{}: expected [section], found: {}", where, clipped(bare)));
      }
      section = std::string(name) + ".";
      continue;
    }
    const std::size_t equals = line.find('=');
    const std::string_view name = trim(line.substr(0, equals));
    if (equals == std::string_view::npos || !is_name(name)) {
      throw UsageError(
          fmt::format("{}: expected name = value, [section] or # comment, found: {}", where, clipped(line)));
    }
    const std::string_view rest = trim(line.substr(equals + 1));
    IniEntry entry{section + std::string(name),
                   rest.starts_with('"') ? unquoted(rest, where) : std::string(trim(without_comment(rest))),
                   number};
    const auto [first, is_new] = line_of.emplace(entry.name, number);
    if (!is_new) {
      throw UsageError(fmt::format("{}: {} is given a second time (first in line {}); keep one of them", where,
                                   clipped(entry.name), first->second));
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

std::string ini_value(std::string_view value) {
  const bool plain = value == trim(value) && value.find_first_of("#;\"\\") == std::string_view::npos;
  if (plain) return std::string(value);
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace convoy
