// Finds the variables that are __shared__ by the tag in their names, in the symbol tables of the program and its
// libraries: they are statics of functions, which nothing else lists.
#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "block.h"

namespace emulator {
namespace {

struct Range {
  char* begin;
  std::size_t bytes;
};
struct Function {
  const char* begin;
  std::string name;  // as linked
};
struct Symbols {
  std::vector<Range> shared;
  std::vector<Function> functions;  // by address; only this program's own
};

void read_symbols(const char* image, std::size_t bytes, char* base, Symbols& symbols) {
  const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(image);
  if (bytes < sizeof *header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) return;
  const auto* sections = reinterpret_cast<const ElfW(Shdr)*>(image + header->e_shoff);
  for (int i = 0; i < header->e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const char* names = image + sections[sections[i].sh_link].sh_offset;
    const auto* symbol = reinterpret_cast<const ElfW(Sym)*>(image + sections[i].sh_offset);
    for (std::size_t n = sections[i].sh_size / sizeof *symbol; n-- > 0; ++symbol) {
      const std::string_view name = names + symbol->st_name;
      const int type = symbol->st_info & 0xf;
      char* const address = base + symbol->st_value;
      if (type == STT_OBJECT && name.substr(0, 3) == "_ZZ" && name.find("B11cuda_shared") != name.npos)
        symbols.shared.push_back({address, symbol->st_size});
      else if (type == STT_FUNC && symbol->st_size > 0)
        symbols.functions.push_back({address, std::string(name)});
    }
  }
}

int read_object(dl_phdr_info* info, std::size_t, void* symbols) {
  const char* path = info->dlpi_name[0] == '\0' ? "/proc/self/exe" : info->dlpi_name;
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;  // the kernel's own
  struct stat status {};
  if (fstat(file, &status) == 0 && status.st_size > 0) {
    const auto bytes = static_cast<std::size_t>(status.st_size);
    void* image = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
    if (image != MAP_FAILED) {
      read_symbols(static_cast<const char*>(image), bytes, reinterpret_cast<char*>(info->dlpi_addr),
                   *static_cast<Symbols*>(symbols));
      munmap(image, bytes);
    }
  }
  close(file);
  return 0;
}

const Symbols& symbols() {
  static const Symbols all = [] {
    Symbols found;
    dl_iterate_phdr(read_object, &found);
    std::sort(found.functions.begin(), found.functions.end(),
              [](const Function& a, const Function& b) { return a.begin < b.begin; });
    return found;
  }();
  return all;
}

}  // namespace

void fill_shared_memory() {
  for (const Range& range : symbols().shared) std::memset(range.begin, 0xff, range.bytes);
}

std::string name_of_function(const void* address) {
  const auto& functions = symbols().functions;
  const auto at = std::lower_bound(functions.begin(), functions.end(), static_cast<const char*>(address),
                                   [](const Function& f, const char* a) { return f.begin < a; });
  if (at == functions.end() || at->begin != address) return "a kernel";
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(abi::__cxa_demangle(at->name.c_str(), nullptr, nullptr, &status),
                                                    std::free);
  return text != nullptr ? text.get() : at->name;
}

}  // namespace emulator
