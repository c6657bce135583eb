#pragma once
// A look at a shared library before the loader maps it: a file that ends early kills the process with SIGBUS at the first page
// that is not there, and no error is returned.
#include <filesystem>
#include <string>

namespace convoy {

/// One line where the file is shorter than its own headers say, or none of this machine's kind; empty: it is whole as far as
/// its headers tell (ELF: program headers and the sections' bytes; its content is not read).
std::string why_not_whole(const std::filesystem::path& library);

}  // namespace convoy
