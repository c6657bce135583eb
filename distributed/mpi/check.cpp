#include "distributed/mpi/check.h"

#include <fmt/format.h>
#include <mpi.h>

#include <string>
#include <string_view>

#include "core/tensor/error.h"

namespace convoy {

void check_mpi(int code, const char* call, const char* file, int line) {
  if (code == MPI_SUCCESS) return;
  char words[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(code, words, &length) != MPI_SUCCESS) length = 0;
  const std::string_view path = file;
  throw LibraryError(fmt::format("{} failed: {} (error {}, {}:{})", call,
                                 std::string_view(words, static_cast<std::size_t>(length)), code,
                                 path.substr(path.rfind('/') + 1), line));
}

}  // namespace convoy
