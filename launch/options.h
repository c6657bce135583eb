#pragma once
// The options of convoy: one table, the single source of --help, of the checks and of "did you mean".
// A name is "run" or "section.name"; the same name stands on the command line (--train.epochs=5) and in a
// config file ([train] epochs=5).
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace convoy {

enum class OptionType {
  text,
  texts,  // one or more words after one --name
  integer,
  real,
  yes_no,    // --name alone means yes
  choice,    // one of `choices`
  choices,   // one or more of them, separated by commas, none twice
  integers,  // "3,4" or "3x4"; may be empty
  path,
};

/// A value that a user may well ask for and this build does not have, with what to tell him.
struct Refusal {
  std::string value, reason;
};

struct OptionSpec {
  std::string name = {};
  OptionType type = OptionType::text;
  std::string value = {};                  // default, as text
  std::string help = {};                   // one line
  std::vector<std::string> commands = {};  // who takes it: "train", "data import", ...; "*": everybody
  double least = -std::numeric_limits<double>::infinity();  // numbers: least <= value <= most; each of a list
  double most = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};  // for `choice` and `choices`
  std::vector<Refusal> refused = {};
  std::string same_as = {};  // default: the value of this option
  bool lasting = true;       // part of Config::text(); --config, --resume and --format are not
};

/// Every option of every command. A name may stand in several rows as long as their commands differ.
const std::vector<OptionSpec>& option_table();

/// The rows that `command` takes, in the table's order.
std::vector<const OptionSpec*> options_of(std::string_view command);

/// The row of `name` for `command`; null: the command has no such option.
const OptionSpec* find_option(std::string_view command, std::string_view name);

/// The commands that take an option of this name; empty: nobody does.
std::vector<std::string> takers_of(std::string_view name);

/// The value in its canonical form ("yes", "0.1", "28,28"). Throws UsageError naming the option, what was
/// found, what is expected; `where` ("lenet.cfg:12" or "command line") begins the message.
std::string checked_value(const OptionSpec& option, std::string_view value, std::string_view where);

/// What stands for the value in --help: "N", "auto|cpu|reference", ...
std::string placeholder(const OptionSpec& option);

/// The table of a command's options with their defaults and ranges, by section, for --help.
std::string describe_options(std::string_view command);

/// Breaks at blanks so that lines stay within `width` columns; every line but the first begins at column
/// `indent`.
std::string wrapped(std::string_view text, std::size_t indent, std::size_t width);

}  // namespace convoy
