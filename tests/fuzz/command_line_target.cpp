// A command line: one argument a line.
#include "fuzz/target.h"
#include "launch/config.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace convoy;
  std::vector<std::string> arguments;
  std::string_view rest = fuzz::view(data, size);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    arguments.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  fuzz::read_or_refuse([&] { static_cast<void>(Config::parse("train", arguments).text()); });
  return fuzz::read_or_refuse([&] { static_cast<void>(Config::parse("data info", arguments, {}, "data.path").text()); });
}
