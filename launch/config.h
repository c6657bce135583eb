#pragma once
// What the user asked for: the options of one command, from its config file and command line, checked.
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace convoy {

/// A config file in memory: the ranks of a run share the text that rank 0 read.
struct ConfigFile {
  std::string name, text;
};

/// The value of --config in `arguments`, read; none where it is not given. Throws UsageError for a file that
/// cannot be read or a command line that cannot be parsed.
std::optional<ConfigFile> read_config_file(const std::string& command,
                                           const std::vector<std::string>& arguments);

class Config {
 public:
  /// `arguments`: what follows the command's name. `positional`: the option that takes words without --name (""
  /// none). The command line overrides the file. Throws UsageError with where, option, found, expected, and the
  /// nearest known name for an unknown one; all that is wrong is told at once.
  static Config parse(const std::string& command, const std::vector<std::string>& arguments,
                      const std::optional<ConfigFile>& file = {}, const std::string& positional = "");

  /// The config of `command` from text() of an earlier one; `origin` names it in messages.
  static Config from_text(const std::string& command, const std::string& text, const std::string& origin);

  /// A copy in which these options, (name, value), were set too; `where` is their origin. Throws UsageError as parse() does, one for
  /// all that is wrong.
  Config with(const std::vector<std::pair<std::string, std::string>>& values, const std::string& where) const;
  /// A copy in which these options were not set.
  Config without(const std::vector<std::string>& names) const;

  /// T: std::string, std::filesystem::path, bool, int, std::int64_t, std::uint64_t, double,
  /// std::vector<std::int64_t>, std::vector<std::string>. Asking for an option that the command does not take
  /// is a program error (std::logic_error).
  template <typename T>
  T get(std::string_view name) const;

  /// Where it was set, "FILE:12" or "command line"; empty where it was not.
  std::string origin(std::string_view name) const;

  /// Was it set by the user (file or command line)?
  bool given(std::string_view name) const;
  /// The same, and to something else than its default: a config.cfg as a run writes it gives every option.
  bool changed(std::string_view name) const;

  /// The non-empty values of one section, by name without the section.
  std::map<std::string, std::string> section(std::string_view name) const;

  /// The complete effective config as INI text: every lasting option in the table's order; one that follows
  /// another (seed.init follows seed) and was not given is a comment. parse() of it gives the same values and
  /// the same text.
  std::string text() const;

  const std::string& command() const { return command_; }

 private:
  void set(std::string_view name, std::string_view value, const std::string& where);
  const std::string& value_of(std::string_view name) const;

  std::string command_;
  std::map<std::string, std::string, std::less<>> values_;   // canonical text of what was given
  std::map<std::string, std::string, std::less<>> origins_;
};

}  // namespace convoy
