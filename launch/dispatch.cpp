#include "launch/dispatch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/tensor/error.h"
#include "launch/commands/commands.h"
#include "launch/errors.h"
#include "launch/help.h"
#include "launch/options.h"
#include "launch/preflight.h"
#include "launch/suggest.h"
#include "launch/train/signals.h"

namespace convoy {
namespace {

using Words = std::vector<std::string>;

bool asks_for_help(const Words& words) {
  return std::any_of(words.begin(), words.end(),
                     [](const std::string& word) { return word == "--help" || word == "-h"; });
}

const Command& find_command(const std::string& name) {
  Words names;
  for (const Command& command : commands()) {
    if (command.name == name) return command;
    names.push_back(command.name);
  }
  throw UsageError(fmt::format("there is no command '{}'{} (known: {}; see convoy --help)", name,
                               did_you_mean(name, names), fmt::join(names, ", ")));
}

/// The action that `words` name; takes the words that name it away.
const Action& take_action(const Command& command, Words& words) {
  if (command.actions.front().path == command.name) return command.actions.front();
  Words names;
  for (const Action& action : command.actions) names.push_back(action.path.substr(command.name.size() + 1));
  if (words.empty() || words.front().starts_with("-")) {
    throw UsageError(fmt::format("convoy {} needs one of: {}; see convoy {} --help", command.name,
                                 fmt::join(names, ", "), command.name));
  }
  const auto found = std::find(names.begin(), names.end(), words.front());
  if (found == names.end()) {
    throw UsageError(fmt::format("convoy {} has no '{}'{} (known: {})", command.name, words.front(),
                                 did_you_mean(words.front(), names), fmt::join(names, ", ")));
  }
  words.erase(words.begin());
  return command.actions[static_cast<std::size_t>(found - names.begin())];
}

Config checked_config(const Action& action, const Words& words, const std::optional<ConfigFile>& file) {
  Config config = Config::parse(action.path, words, file, action.positional);
  if (action.check) action.check(config);
  return config;
}

/// Rank 0 reads and checks, and tells the others the words and the file: one message where something is wrong,
/// and no other node needs the file. nullopt on the other ranks where it failed; rank 0 throws.
std::optional<Config> agreed_config(const Action& action, const Words& words, World& world) {
  using nlohmann::json;
  if (world.rank() == 0) {
    try {
      const std::optional<ConfigFile> file = read_config_file(action.path, words);
      Config config = checked_config(action, words, file);
      json message = {{"words", words}};
      if (file) message["file"] = {{"name", file->name}, {"text", file->text}};
      world.all().broadcast_string(message.dump(-1, ' ', false, json::error_handler_t::strict), 0);
      return config;
    } catch (...) {
      world.all().broadcast_string("null", 0);
      throw;
    }
  }
  const json message = json::parse(world.all().broadcast_string("", 0));
  if (message.is_null()) return std::nullopt;
  std::optional<ConfigFile> file;
  if (message.contains("file")) file = ConfigFile{message["file"]["name"], message["file"]["text"]};
  return Config::parse(action.path, message["words"].get<Words>(), file, action.positional);
}

int run_on_ranks(const Action& action, const Words& words) {
  if (action.path == "train") watch_signals();  // one that comes while MPI starts is not lost, and kills nothing
  const Environment environment = process_environment();
  check_launch(environment, World::library_version());
  World world(nullptr, nullptr);
  world.on_bad_news(print_bad_news);
  if (const auto wrong = launch_mismatch(environment, world.size(), World::library_version())) {
    if (speaks_before_mpi(environment)) print_failure(*wrong);
    return kWrongUsage;
  }
  std::optional<Config> config;
  try {
    config = agreed_config(action, words, world);
  } catch (...) {
    const Failure failure = failure_of(std::current_exception());
    print_failure(failure.message);
    return failure.status;
  }
  if (!config) return kWrongUsage;
  if (find_option(action.path, "timeout")) {
    world.all().set_deadline(std::chrono::seconds(config->get<int>("timeout")));
  }
  try {
    return action.run_on_ranks(*config, world);
  } catch (...) {
    // The handler on rank 0 prints: one message, of the rank whose report came first.
    const Failure failure = failure_of(std::current_exception());
    world.fail(failure.status, failure.message, {.rank = failure.rank});
  }
}

int run(Words words) {
  if (words.empty()) throw UsageError("what shall it do? convoy COMMAND ...; convoy --help lists the commands");
  const std::string name = words.front() == "--version" ? "version" : words.front();
  words.erase(words.begin());
  if (name == "--help" || name == "-h" || name == "help") {
    fmt::print("{}", words.empty() ? overview() : help_of(find_command(words.front())));
    return kDone;
  }
  const Command& command = find_command(name);
  if (asks_for_help(words) && words.front().starts_with("-")) {
    fmt::print("{}", help_of(command));
    return kDone;
  }
  const Action& action = take_action(command, words);
  if (asks_for_help(words)) {
    fmt::print("{}", help_of(action));
    return kDone;
  }
  if (action.run_on_ranks) return run_on_ranks(action, words);
  return action.run(checked_config(action, words, read_config_file(action.path, words)));
}

}  // namespace

int dispatch(const std::vector<std::string>& words) {
  int status = kDone;
  try {
    status = run(words);
    if (std::fflush(stdout) != 0) throw Error("stdout: the results could not be written (disk full?)");
  } catch (...) {
    const Failure failure = failure_of(std::current_exception());
    const bool speaks = speaks_before_mpi(process_environment());
    if (speaks) print_failure(failure.message);
    status = failure.status;
    // mpirun ends all ranks with the first that fails and drops what it has not read by then: the speaker goes first
    if (std::getenv("OMPI_COMM_WORLD_RANK")) std::this_thread::sleep_for(std::chrono::milliseconds(speaks ? 100 : 1000));
  }
  return status;
}

}  // namespace convoy
