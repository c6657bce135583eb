#include "launch/ensemble_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <utility>

#include "core/tensor/error.h"
#include "io/ensemble_file.h"
#include "launch/mistakes.h"
#include "launch/printable.h"

namespace convoy {
namespace {

using Changes = std::vector<std::pair<std::string, std::string>>;

constexpr std::array<const char*, 3> kOwn{"members", "member-seeds", "member-overrides"};
/// Of the processes or the whole run, not of one model.
constexpr std::array<const char*, 9> kOfTheRun{"config",      "run",     "runs",   "resume",   "mode",
                                               "member-mode", "timeout", "device", "share-gpu"};

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  return first == std::string_view::npos
             ? ""
             : std::string(text.substr(first, text.find_last_not_of(' ') - first + 1));
}

struct Override {
  int member = 0;
  std::string option, value;
};

Override parse_override(const std::string& clause, int members) {
  const std::size_t colon = clause.find(':'), equals = clause.find('=');
  Override parsed;
  const char* const end = clause.data() + std::min(colon, clause.size());
  const auto [rest, error] = std::from_chars(clause.data(), end, parsed.member);
  if (equals == std::string::npos || colon > equals || error != std::errc{} || rest != end)
    throw UsageError(fmt::format(
        "member-overrides: '{}': expected MEMBER:OPTION=VALUE, such as 7:model.width=1.25; more of them after "
        "semicolons",
        printable(clause.substr(0, 200))));
  if (parsed.member < 1 || parsed.member > members)
    throw UsageError(
        fmt::format("member-overrides: '{}': there is no member {}; the {} members are counted from 1",
                    printable(clause.substr(0, 200)), clause.substr(0, colon), members));
  parsed.option = trimmed(std::string_view(clause).substr(colon + 1, equals - colon - 1));
  parsed.value = trimmed(std::string_view(clause).substr(equals + 1));
  const auto is_it = [&](const char* name) { return parsed.option == name; };
  if (std::any_of(kOwn.begin(), kOwn.end(), is_it) || std::any_of(kOfTheRun.begin(), kOfTheRun.end(), is_it))
    throw UsageError(fmt::format("member-overrides: {} is the same for all members; leave it out of '{}'",
                                 parsed.option, clause));
  return parsed;
}

std::vector<Override> parse_overrides(const std::string& text, int members) {
  std::vector<Override> overrides;
  std::set<std::pair<int, std::string>> seen;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(';', begin), text.size());
    if (const std::string clause = trimmed(std::string_view(text).substr(begin, end - begin));
        !clause.empty()) {
      overrides.push_back(parse_override(clause, members));
      if (!seen.emplace(overrides.back().member, overrides.back().option).second)
        throw UsageError(
            fmt::format("member-overrides: {} of member {} is given a second time; keep one of them",
                        overrides.back().option, overrides.back().member));
    }
    begin = end + 1;
  }
  return overrides;
}

/// Those of member `number`, before its overrides.
Changes seeds_of(const Config& config, int number) {
  Changes changes;
  for (const char* seed : {"seed.init", "seed.order", "seed.augment", "seed.dropout"}) {
    if (seed == std::string_view("seed.init") && config.get<std::string>("member-seeds") == "order") continue;
    changes.emplace_back(
        seed, fmt::format("{}", config.get<std::uint64_t>(seed) + static_cast<std::uint64_t>(number - 1)));
  }
  return changes;
}

Member member_of(const Config& config, const std::vector<Override>& overrides, int number) {
  const std::string name = fmt::format("{:02}", number);
  const auto folder = config.get<std::filesystem::path>("runs") / config.get<std::string>("run");
  Changes changes{{"mode", config.get<std::string>("member-mode")},
                  {"runs", member_folder(folder, name).parent_path().string()},
                  {"run", name}};
  const auto is_own = [&](const Override& override) { return override.member == number; };
  const bool has_seed = std::any_of(overrides.begin(), overrides.end(), [&](const Override& override) {
    return is_own(override) && override.option == "seed";
  });
  // One that gives `seed` itself means all seeds that follow it.
  if (!has_seed)
    for (auto& seed : seeds_of(config, number)) changes.push_back(std::move(seed));
  for (const Override& override : overrides)
    if (is_own(override)) changes.emplace_back(override.option, override.value);
  return {number, name,
          config.without({kOwn.begin(), kOwn.end()})
              .without({"member-mode"})
              .with(changes, fmt::format("member {}", number))};
}

}  // namespace

std::vector<Member> members_of(const Config& config) {
  const int count = config.get<int>("members");
  const std::vector<Override> overrides = parse_overrides(config.get<std::string>("member-overrides"), count);
  std::vector<Member> members;
  for (int number = 1; number <= count; ++number) members.push_back(member_of(config, overrides, number));
  return members;
}

void check_ensemble(const Config& config, void (*check)(const Config&)) {
  if (config.get<std::string>("mode") != "ensemble") {
    for (const char* option : {"members", "member-seeds", "member-overrides", "member-mode"})
      if (config.changed(option))
        throw UsageError(fmt::format("{}: {} belongs to --mode=ensemble, but the mode is {}",
                                     config.origin(option), option, config.get<std::string>("mode")));
    return;
  }
  if (config.get<int>("members") == 0)
    throw UsageError("members = 0: expected how many models the ensemble has, such as --members=7");
  if (const auto resume = config.get<std::string>("resume"); !resume.empty() && resume != "latest")
    throw UsageError(fmt::format(
        "resume = '{}': members go on from checkpoints of their own; an ensemble takes --resume=latest only",
        resume));
  if (config.get<std::string>("reduction") == "fast")
    throw UsageError(
        "reduction = fast: the bits of a member would depend on the number of ranks, and one that fails would "
        "leave its ranks "
        "in the library's all-reduce; an ensemble takes the deterministic reduction");
  Mistakes mistakes;
  for (const Member& member : members_of(config)) {
    mistakes.attempt([&] {
      try {
        check(member.config);
      } catch (const UsageError& error) {
        throw UsageError(fmt::format("member {}: {}", member.number, error.what()));
      }
    });
  }
  mistakes.tell();
}

}  // namespace convoy
