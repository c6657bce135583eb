#include "launch/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "core/tensor/error.h"
#include "launch/ini.h"
#include "launch/mistakes.h"
#include "launch/options.h"
#include "launch/printable.h"
#include "launch/suggest.h"

namespace convoy {
namespace {

namespace po = boost::program_options;

constexpr std::string_view kCommandLine = "command line";
constexpr std::size_t kShown = 200;                      // characters of a name or word, in messages
constexpr std::size_t kMostBytes = std::size_t{1} << 20;  // of a config file

std::vector<std::string> names_of(const std::vector<const OptionSpec*>& options) {
  std::vector<std::string> names;
  for (const OptionSpec* option : options) names.push_back(option->name);
  return names;
}

/// Nobody knows the name, or another command does.
[[noreturn]] void reject_name(const std::string& command, const std::string& given, const std::string& where) {
  const std::string name = printable(std::string_view(given).substr(0, kShown));
  const std::vector<std::string> takers = takers_of(name);
  if (!takers.empty()) {
    throw UsageError(fmt::format("{}: convoy {} takes no option {} (convoy {} does); see convoy {} --help",
                                 where, command, name, fmt::join(takers, ", convoy "), command));
  }
  const std::vector<std::string> known = names_of(options_of(command));
  throw UsageError(fmt::format("{}: unknown option {}{} (convoy {} --help lists all)", where, name,
                               did_you_mean(name, known), command));
}

po::options_description described(const std::string& command) {
  po::options_description description;
  for (const OptionSpec* option : options_of(command)) {
    auto* value = po::value<std::vector<std::string>>();
    if (option->type == OptionType::texts) value->multitoken();
    if (option->type == OptionType::yes_no) value->implicit_value({"yes"}, "yes");
    description.add_options()(option->name.c_str(), value);
  }
  return description;
}

/// `--dry-run PATH` where the command takes words: PATH is one of them, not the option's value.
std::vector<std::string> with_bare_switches(const std::string& command, std::vector<std::string> arguments) {
  constexpr std::array<std::string_view, 8> kValues{"yes", "true", "on", "1", "no", "false", "off", "0"};
  for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
    if (!arguments[i].starts_with("--") || arguments[i + 1].starts_with("-")) continue;
    const OptionSpec* option = find_option(command, arguments[i].substr(2));
    if (option == nullptr || option->type != OptionType::yes_no) continue;
    if (std::find(kValues.begin(), kValues.end(), arguments[i + 1]) == kValues.end()) arguments[i] += "=yes";
  }
  return arguments;
}

/// What the command line gives: (name, words), in its order; words without a name go to `positional`.
using Given = std::vector<std::pair<std::string, std::vector<std::string>>>;

Given parse_command_line(const std::string& command, const std::vector<std::string>& arguments,
                         const std::string& positional) {
  const po::options_description description = described(command);
  namespace style = po::command_line_style;
  po::parsed_options parsed(&description);
  try {
    parsed = po::command_line_parser(positional.empty() ? arguments : with_bare_switches(command, arguments))
                 .options(description)
                 .style(style::allow_long | style::long_allow_adjacent | style::long_allow_next)
                 .allow_unregistered()
                 .run();
  } catch (const po::error& error) {
    throw UsageError(fmt::format("{}: {}; see convoy {} --help", kCommandLine, std::string_view(error.what()).substr(0, 2 * kShown), command));
  }
  Given given;
  for (const po::option& option : parsed.options) {
    if (option.unregistered) reject_name(command, option.string_key, std::string(kCommandLine));
    const bool is_word = option.position_key >= 0;
    if (is_word && positional.empty()) {
      throw UsageError(
          fmt::format("{}: unexpected word '{}': convoy {} takes options only (--name=value); see convoy "
                      "{} --help",
                      kCommandLine, option.value.front().substr(0, kShown), command, command));
    }
    const std::string name = is_word ? positional : option.string_key;
    const bool is_bare = option.value.empty() && find_option(command, name)->type == OptionType::yes_no;
    const std::vector<std::string> words = is_bare ? std::vector<std::string>{"yes"} : option.value;
    const auto before =
        std::find_if(given.begin(), given.end(), [&](const auto& entry) { return entry.first == name; });
    if (before == given.end()) {
      given.emplace_back(name, words);
    } else if (is_word && find_option(command, name)->type == OptionType::texts) {
      before->second.insert(before->second.end(), words.begin(), words.end());
    } else {
      throw UsageError(fmt::format("{}: {} is given a second time ('{}', then '{}'); keep one of them",
                                   kCommandLine, name, before->second.front().substr(0, kShown),
                                   fmt::format("{}", fmt::join(words, " ")).substr(0, kShown)));
    }
  }
  return given;
}

}  // namespace

std::optional<ConfigFile> read_config_file(const std::string& command,
                                           const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    constexpr std::string_view prefix = "--config";
    const std::string& argument = arguments[i];
    if (argument != prefix && !argument.starts_with("--config=")) continue;
    if (argument == prefix && i + 1 == arguments.size()) {
      throw UsageError(fmt::format("{}: --config names no file; see convoy {} --help", kCommandLine, command));
    }
    const std::string name = argument == prefix ? arguments[i + 1] : argument.substr(prefix.size() + 1);
    std::error_code error;
    if (std::filesystem::is_fifo(name, error) && !name.starts_with("/dev/fd/"))
      throw UsageError(fmt::format("{}: --config={}: expected a file, found a named pipe", kCommandLine, name));
    std::ifstream stream(name, std::ios::binary);
    std::string text(kMostBytes + 1, '\0');
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    const bool is_read = stream.gcount() > 0 || stream.eof();
    text.resize(static_cast<std::size_t>(stream.gcount()));
    if (text.size() > kMostBytes) {
      throw UsageError(fmt::format("{}: --config={}: more than {} bytes, which no config file has", kCommandLine, name, kMostBytes));
    }
    if (!is_read || std::filesystem::is_directory(name)) {
      throw UsageError(fmt::format("{}: --config={}: expected a config file that can be read, found none",
                                   kCommandLine, name));
    }
    return ConfigFile{name, text};
  }
  return std::nullopt;
}

Config Config::parse(const std::string& command, const std::vector<std::string>& arguments,
                     const std::optional<ConfigFile>& file, const std::string& positional) {
  Config config;
  config.command_ = command;
  const Given given = parse_command_line(command, arguments, positional);
  Mistakes mistakes;
  const auto set_from_file = [&](const IniEntry& entry) {
    const std::string where = fmt::format("{}:{}", file->name, entry.line);
    const OptionSpec* option = find_option(command, entry.name);
    if (!option) reject_name(command, entry.name, where);
    if (entry.name == "config") {
      throw UsageError(
          fmt::format("{}: a config file cannot name another one; use --config on the command line", where));
    }
    config.set(entry.name, entry.value, where);
  };
  if (file) {
    for (const IniEntry& entry : parse_ini(file->text, file->name)) mistakes.attempt([&] { set_from_file(entry); });
  }
  for (const auto& entry : given) {
    mistakes.attempt([&] {
      config.set(entry.first, fmt::format("{}", fmt::join(entry.second, ",")), std::string(kCommandLine));
    });
  }
  mistakes.tell();
  return config;
}

Config Config::from_text(const std::string& command, const std::string& text, const std::string& origin) {
  return parse(command, {}, ConfigFile{origin, text});
}

Config Config::with(const std::vector<std::pair<std::string, std::string>>& values, const std::string& where) const {
  Config config = *this;
  Mistakes mistakes;
  for (const auto& entry : values) {
    mistakes.attempt([&] {
      if (!find_option(command_, entry.first)) reject_name(command_, entry.first, where);
      config.set(entry.first, entry.second, where);
    });
  }
  mistakes.tell();
  return config;
}

Config Config::without(const std::vector<std::string>& names) const {
  Config config = *this;
  for (const std::string& name : names) {
    config.values_.erase(name);
    config.origins_.erase(name);
  }
  return config;
}

void Config::set(std::string_view name, std::string_view value, const std::string& where) {
  values_.insert_or_assign(std::string(name), checked_value(*find_option(command_, name), value, where));
  origins_.insert_or_assign(std::string(name), where);
}

const std::string& Config::value_of(std::string_view name) const {
  const OptionSpec* option = find_option(command_, name);
  if (!option) throw std::logic_error(fmt::format("convoy {} takes no option {}", command_, name));
  const auto found = values_.find(name);
  if (found != values_.end()) return found->second;
  return option->same_as.empty() ? option->value : value_of(option->same_as);
}

std::string Config::origin(std::string_view name) const {
  const auto found = origins_.find(name);
  return found == origins_.end() ? "" : found->second;
}

bool Config::given(std::string_view name) const { return values_.find(name) != values_.end(); }

bool Config::changed(std::string_view name) const { return given(name) && value_of(name) != find_option(command_, name)->value; }

std::map<std::string, std::string> Config::section(std::string_view name) const {
  const std::string prefix = std::string(name) + ".";
  std::map<std::string, std::string> values;
  for (const OptionSpec* option : options_of(command_)) {
    if (!option->name.starts_with(prefix) || value_of(option->name).empty()) continue;
    values.emplace(option->name.substr(prefix.size()), value_of(option->name));
  }
  return values;
}

std::string Config::text() const {
  std::string text, section;
  for (const OptionSpec* option : options_of(command_)) {
    if (!option->lasting) continue;
    const std::size_t dot = option->name.find('.');
    const std::string of = dot == std::string::npos ? "" : option->name.substr(0, dot);
    if (of != section) text += fmt::format("\n[{}]\n", of);
    section = of;
    const std::string name = dot == std::string::npos ? option->name : option->name.substr(dot + 1);
    if (!given(option->name) && !option->same_as.empty()) {
      text += fmt::format("# {} follows {}\n", name, option->same_as);
    } else {
      text += fmt::format("{} = {}", name, ini_value(value_of(option->name)));
      while (text.ends_with(' ')) text.pop_back();
      text += '\n';
    }
  }
  return text;
}

template <>
std::string Config::get<std::string>(std::string_view name) const {
  return value_of(name);
}

template <>
std::filesystem::path Config::get<std::filesystem::path>(std::string_view name) const {
  return value_of(name);
}

template <>
bool Config::get<bool>(std::string_view name) const {
  return value_of(name) == "yes";
}

// The values below are canonical texts of checked_value: the conversions cannot fail.
template <>
std::int64_t Config::get<std::int64_t>(std::string_view name) const {
  return std::stoll(value_of(name));
}

template <>
std::uint64_t Config::get<std::uint64_t>(std::string_view name) const {
  return std::stoull(value_of(name));
}

template <>
int Config::get<int>(std::string_view name) const {
  return std::stoi(value_of(name));
}

template <>
double Config::get<double>(std::string_view name) const {
  return std::strtod(value_of(name).c_str(), nullptr);
}

template <>
std::vector<std::string> Config::get<std::vector<std::string>>(std::string_view name) const {
  std::vector<std::string> items;
  std::string_view rest = value_of(name);
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    if (comma > 0) items.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return items;
}

template <>
std::vector<std::int64_t> Config::get<std::vector<std::int64_t>>(std::string_view name) const {
  std::vector<std::int64_t> numbers;
  for (const std::string& item : get<std::vector<std::string>>(name)) numbers.push_back(std::stoll(item));
  return numbers;
}

}  // namespace convoy
