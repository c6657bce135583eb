#pragma once
// What fuzz targets share. A target is one function, LLVMFuzzerTestOneInput, that hands the input to one reader. A reader may
// do two things with any bytes: read them, or throw one UsageError or DataError of a size that fits a screen. Everything else
// (another exception, a signal, a sanitizer's report, a broken promise) ends the process and so is a finding.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
/// Optional: changes `data` in place (at most `most` bytes) and returns its new size.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed);
/// libFuzzer's, or the driver's own: one ordinary change.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace convoy::fuzz {

/// This process's folder, in memory where the system has /dev/shm; removed when the process ends in order.
const std::filesystem::path& scratch();

/// Writes SCRATCH/NAME, with the folders on the way.
std::filesystem::path put(const std::filesystem::path& name, std::string_view bytes);
inline std::string_view view(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Runs `read`; a UsageError or DataError is checked for a message a person can read. Always 0, what a target returns.
int read_or_refuse(const std::function<void()>& read);

/// Ends the process as a finding when `kept` is false.
void promise(bool kept, const char* what);

}  // namespace convoy::fuzz
