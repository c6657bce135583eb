// An image folder with the input as one of its pictures, by a name of its own making: the first line.
#include "fuzz/target.h"
#include "io/import/import.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace convoy;
  std::string_view content = fuzz::view(data, size);
  const std::size_t end = std::min(content.find('\n'), content.size());
  std::string name(content.substr(0, std::min<std::size_t>(end, 60)));
  content.remove_prefix(std::min(end + 1, content.size()));
  std::erase(name, '\0');
  std::erase(name, '/');
  if (name.empty() || name == "." || name == "..") return 0;
  const std::filesystem::path source = fuzz::scratch() / "pictures";
  std::filesystem::remove_all(source);
  fuzz::put(std::filesystem::path("pictures/a") / name, content);
  fuzz::put(std::filesystem::path("pictures") / name / "b.png", content);
  ImportOptions options;
  options.source = source;
  options.output = fuzz::scratch() / "out";
  options.overwrite = options.skip_bad = true;
  return fuzz::read_or_refuse([&] { import_image_folder(options); });
}
