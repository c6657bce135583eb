// The main of a fuzz target where libFuzzer is not there (GCC): replays a corpus, then cuts and changes it at random. The
// same seed gives the same inputs. An input that ends the process is left in the file `crash-input`.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "fuzz/target.h"

extern "C" __attribute__((weak)) std::size_t LLVMFuzzerCustomMutator(std::uint8_t*, std::size_t, std::size_t, unsigned);
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*)());

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kMostBytes = std::size_t{1} << 18;
constexpr unsigned kSecondsPerInput = 120;  // only a hang takes as long, also on a busy machine
constexpr rlim_t kMemory = rlim_t{4} << 30;

std::mt19937_64 chance;
const Bytes* current = nullptr;
std::string name_of_crash = "crash-input";

/// Only what a signal handler may call.
void save_current() {
  if (current == nullptr) return;
  const int file = open(name_of_crash.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  if (file < 0 || write(file, current->data(), current->size()) < 0) return;
  constexpr char words[] = "fuzz: the input is in the file crash-input\n";
  if (write(2, words, sizeof words - 1) < 0) return;
  current = nullptr;
}

void on_signal(int signal) {
  if (signal == SIGALRM) {
    constexpr char words[] = "fuzz: one input took more than 120 s\n";
    if (write(2, words, sizeof words - 1) < 0) _exit(1);
  }
  save_current();
  std::signal(signal, SIG_DFL);
  raise(signal);
}

void run(const Bytes& input) {
  current = &input;
  alarm(kSecondsPerInput);
  LLVMFuzzerTestOneInput(input.data(), input.size());
  alarm(0);
  current = nullptr;
}

std::size_t below(std::size_t end) { return static_cast<std::size_t>(chance() % end); }

std::vector<Bytes> corpus_in(const std::vector<fs::path>& paths) {
  std::vector<fs::path> files;
  for (const fs::path& path : paths) {
    if (!fs::is_directory(path)) files.push_back(path);
    else
      for (const fs::directory_entry& entry : fs::directory_iterator(path)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<Bytes> corpus;
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return corpus;
}

/// Up to `most` lengths of each file: all of them where it is short.
std::size_t run_truncations(const std::vector<Bytes>& corpus, std::size_t most) {
  std::size_t count = 0;
  for (const Bytes& whole : corpus) {
    const std::size_t lengths = std::min(whole.size(), most);
    for (std::size_t i = 0; i < lengths; ++i, ++count) {
      const std::size_t length = lengths == whole.size() ? i : below(whole.size());
      run(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
    }
  }
  return count;
}

Bytes changed(const std::vector<Bytes>& corpus) {
  Bytes input = corpus[below(corpus.size())];
  std::size_t size = input.size();
  input.resize(std::max(kMostBytes, size));
  for (std::size_t times = 1 + below(3); times > 0; --times)
    size = LLVMFuzzerCustomMutator ? LLVMFuzzerCustomMutator(input.data(), size, input.size(), static_cast<unsigned>(chance()))
                                   : LLVMFuzzerMutate(input.data(), size, input.size());
  input.resize(size);
  return input;
}

}  // namespace

std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most) {
  if (size == 0) return data[0] = static_cast<std::uint8_t>(chance()), 1;
  const std::size_t at = below(size), count = std::min(size - at, 1 + below(64));
  switch (below(7)) {
    case 0:  // one bit
    case 1: data[at] = static_cast<std::uint8_t>(data[at] ^ 1u << below(8)); return size;
    case 2: data[at] = static_cast<std::uint8_t>(chance()); return size;
    case 3: std::memset(data + at, below(2) ? 0xff : 0, std::min<std::size_t>(count, 8)); return size;
    case 4: std::memmove(data + at, data + below(size - count + 1), count); return size;
    case 5:  // out
      std::memmove(data + at, data + at + count, size - at - count);
      return size - count;
    default:  // twice
      if (size + count > most) return size;
      std::memmove(data + at + count, data + at, size - at);
      return size + count;
  }
}

int main(int argc, char** argv) {
  std::size_t runs = 1000, lengths = 200, seed = 1;
  std::vector<fs::path> paths;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word.starts_with("--runs=")) runs = std::stoul(word.substr(7));
    else if (word.starts_with("--lengths=")) lengths = std::stoul(word.substr(10));
    else paths.emplace_back(word);
  }
  if (const char* text = std::getenv("CONVOY_TEST_SEED")) seed = std::stoul(text);
  if (const char* text = std::getenv("CONVOY_TEST_SCALE")) runs *= std::max(1ul, std::stoul(text));
  chance.seed(seed);
  name_of_crash = (fs::current_path() / name_of_crash).string();
  const std::vector<Bytes> corpus = corpus_in(paths);
  if (corpus.empty()) {
    std::fprintf(stderr, "usage: %s [--runs=N] [--lengths=N] FILE-OR-FOLDER...: no input was found\n", argv[0]);
    return 2;
  }
  for (int signal : {SIGABRT, SIGALRM, SIGBUS, SIGFPE, SIGILL}) std::signal(signal, on_signal);
  if (__sanitizer_set_death_callback) {
    __sanitizer_set_death_callback(save_current);
  } else {  // the sanitizers' shadow memory does not fit a limit, and they bring one of their own
    std::signal(SIGSEGV, on_signal);
    const rlimit limit{kMemory, kMemory};
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 2;
  }
  for (const Bytes& input : corpus) run(input);
  const std::size_t cut = run_truncations(corpus, lengths);
  for (std::size_t i = 0; i < runs; ++i) run(changed(corpus));
  std::printf("%zu inputs, %zu cut, %zu changed, seed %zu: every one read or refused\n", corpus.size(), cut, runs, seed);
  return 0;
}
