#include "core/backend/elf_file.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <vector>

namespace convoy {
namespace {

/// The highest end that was asked for; a header's sums may overflow where it is damaged.
class End {
 public:
  void include(std::uint64_t begin, std::uint64_t bytes) {
    std::uint64_t end = 0;
    if (__builtin_add_overflow(begin, bytes, &end)) end = UINT64_MAX;
    end_ = std::max(end_, end);
  }
  std::uint64_t get() const { return end_; }

 private:
  std::uint64_t end_ = 0;
};

template <typename Header>
std::vector<Header> table(std::ifstream& file, std::uint64_t offset, std::size_t count) {
  std::vector<Header> rows(count);
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(rows.data()), static_cast<std::streamsize>(count * sizeof(Header)));
  if (!file) rows.clear();
  return rows;
}

}  // namespace

std::string why_not_whole(const std::filesystem::path& library) {
  std::error_code unknown;
  const std::uint64_t bytes = std::filesystem::file_size(library, unknown);
  std::ifstream file(library, std::ios::binary);
  if (unknown || !file) return "it cannot be read";
  Elf64_Ehdr header{};
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  if (!file || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64)
    return fmt::format("it is no shared library (64-bit ELF) but {} bytes of something else", bytes);
  End end;
  end.include(header.e_phoff, std::uint64_t{header.e_phnum} * header.e_phentsize);
  end.include(header.e_shoff, std::uint64_t{header.e_shnum} * header.e_shentsize);
  if (end.get() <= bytes && header.e_phentsize == sizeof(Elf64_Phdr))
    for (const Elf64_Phdr& segment : table<Elf64_Phdr>(file, header.e_phoff, header.e_phnum))
      end.include(segment.p_offset, segment.p_filesz);
  if (end.get() <= bytes && header.e_shentsize == sizeof(Elf64_Shdr))
    for (const Elf64_Shdr& section : table<Elf64_Shdr>(file, header.e_shoff, header.e_shnum))
      if (section.sh_type != SHT_NOBITS) end.include(section.sh_offset, section.sh_size);
  if (end.get() <= bytes) return {};
  return fmt::format("it is cut off: {} bytes, where its headers tell of {}; install it again", bytes, end.get());
}

}  // namespace convoy
