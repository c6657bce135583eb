#include "fuzz/target.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "core/tensor/error.h"

// One allocation above 1 GiB, for inputs of a few KiB, is memory taken on a header's word.
extern "C" const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "max_allocation_size_mb=1024:allocator_may_return_null=0"; }

// HDF5 1.10.8 forgets some blocks when it refuses damaged metadata.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

namespace convoy::fuzz {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestMessage = 4096;

struct Scratch {
  Scratch() {
    const fs::path memory = "/dev/shm";
    std::string name = ((fs::is_directory(memory) ? memory : fs::temp_directory_path()) / "convoy-fuzz-XXXXXX").string();
    promise(mkdtemp(name.data()) != nullptr, "a scratch folder can be made");
    path = name;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  fs::path path;
};

void check_message(std::string_view message) {
  promise(!message.empty(), "an error has a message");
  promise(message.size() <= kLongestMessage, "a message fits a screen, however long the input's lines");
}

}  // namespace

const fs::path& scratch() {
  static const Scratch folder;
  return folder.path;
}

fs::path put(const fs::path& name, std::string_view bytes) {
  const fs::path file = scratch() / name;
  fs::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  promise(static_cast<bool>(out.flush()), "the scratch folder takes the input");
  return file;
}

int read_or_refuse(const std::function<void()>& read) {
  try {
    read();
  } catch (const UsageError& error) {
    check_message(error.what());
  } catch (const DataError& error) {
    check_message(error.what());
  }
  return 0;
}

void promise(bool kept, const char* what) {
  if (kept) return;
  std::fprintf(stderr, "fuzz: broken promise: %s\n", what);
  std::abort();
}

}  // namespace convoy::fuzz
