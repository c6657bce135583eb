// convoy version: which convoy this is.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "launch/commands/commands.h"
#include "launch/commands/version.h"

namespace convoy {
namespace {

int print_version(const Config& config) {
  if (config.get<std::string>("format") == "json") {
    const nlohmann::ordered_json json = {
        {"version", CONVOY_VERSION}, {"build", CONVOY_BUILD_TYPE}, {"compiler", CONVOY_COMPILER}};
    fmt::print("{}\n", json.dump(2));
  } else {
    fmt::print("convoy {}\n", convoy_version());
  }
  return 0;
}

}  // namespace

std::string convoy_version() { return fmt::format("{} ({}, {})", CONVOY_VERSION, CONVOY_BUILD_TYPE, CONVOY_COMPILER); }

Command version_command() {
  return {"version",
          "print convoy's version and how it was built",
          {{.path = "version",
            .summary = "print convoy's version and how it was built",
            .usage = "version [--format=json]",
            .description = "Prints the version, the kind of build and the compiler.",
            .examples = "convoy version",
            .run = print_version}}};
}

}  // namespace convoy
