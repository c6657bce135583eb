// A config file of convoy train. What is accepted writes itself down and reads itself back.
#include "fuzz/target.h"
#include "launch/config.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace convoy;
  return fuzz::read_or_refuse([&] {
    const Config config = Config::from_text("train", std::string(fuzz::view(data, size)), "input.cfg");
    const std::string text = config.text();
    fuzz::promise(Config::from_text("train", text, "written.cfg").text() == text, "a config reads back what it writes");
  });
}
