#include "launch/help.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "launch/options.h"

namespace convoy {
namespace {

std::string indented(const std::string& text) {
  std::string out = "  ";
  for (const char c : text) {
    out += c;
    if (c == '\n') out += "  ";
  }
  return out + '\n';
}

/// Paragraphs, a blank line between two.
std::string paragraphs(std::string_view text) {
  constexpr std::size_t kWidth = 100;
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find("\n\n"), text.size());
    std::string paragraph(text.substr(0, end));
    std::replace(paragraph.begin(), paragraph.end(), '\n', ' ');
    out += (out.empty() ? "" : "\n\n") + wrapped(paragraph, 0, kWidth);
    text.remove_prefix(std::min(end + 2, text.size()));
  }
  return out;
}

bool is_single(const Command& command) {
  return command.actions.size() == 1 && command.actions.front().path == command.name;
}

constexpr const char* kStatuses =
    "Exit status: 0 done, 1 failed while running, 2 wrong usage or config, 3 bad data,\n"
    "75 stopped early by a signal with a checkpoint written.\n";

}  // namespace

std::string overview() {
  std::string out =
      "convoy: trains convolutional networks on any number of ranks, with the same bits\n\n"
      "Usage: convoy COMMAND [--option=value ...]\n"
      "       mpirun -n RANKS convoy train ...\n\nCommands:\n";
  for (const Command& command : commands()) {
    out += fmt::format("  {:<12} {}\n", command.name, command.summary);
    if (is_single(command)) continue;
    std::vector<std::string> names;
    for (const Action& action : command.actions) names.push_back(action.path.substr(command.name.size() + 1));
    out += fmt::format("  {:<12}   {}\n", "", fmt::join(names, " | "));
  }
  return out +
         "\nconvoy COMMAND --help tells more. Options may stand in a config file (--config=FILE: INI\n"
         "sections, [train] epochs=5 is --train.epochs=5); the command line overrides it.\n" +
         kStatuses;
}

std::string help_of(const Command& command) {
  if (is_single(command)) return help_of(command.actions.front());
  std::string out = fmt::format("convoy {}: {}\n\n", command.name, command.summary);
  for (const Action& action : command.actions)
    out += fmt::format("  convoy {}\n      {}\n", action.usage, action.summary);
  return out + fmt::format("\nconvoy {} ACTION --help tells more.\n", command.name);
}

std::string help_of(const Action& action) {
  return fmt::format("convoy {}: {}\n\nUsage: convoy {}\n\n{}\n\nExamples:\n{}\n{}\n{}", action.path,
                     action.summary, action.usage, paragraphs(action.description), indented(action.examples),
                     describe_options(action.path), kStatuses);
}

}  // namespace convoy
