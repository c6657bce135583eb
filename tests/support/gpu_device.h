#pragma once
// Whether there is a device to test on. A machine that shows one (CONVOY_EXPECT_DEVICE=yes, set by tests/run --gpu) fails
// where convoy finds none; elsewhere tests that need one are skipped with the reason.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace convoy::test {

inline bool device_expected() {
  const char* word = std::getenv("CONVOY_EXPECT_DEVICE");
  return word != nullptr && std::string(word) == "yes";
}

/// The value of an environment variable, else `otherwise`: a bundle's tests are told where its files are.
inline std::string from_environment(const char* name, const std::string& otherwise) {
  const char* word = std::getenv(name);
  return word != nullptr && *word != '\0' ? word : otherwise;
}

}  // namespace convoy::test

/// Ends the test where `reason` (why there is no device) is not empty.
#define CONVOY_NEEDS_DEVICE(reason)                                                              \
  do {                                                                                           \
    const std::string why = (reason);                                                            \
    if (!why.empty() && ::convoy::test::device_expected()) FAIL() << "this machine shows a device, but " << why; \
    if (!why.empty()) GTEST_SKIP() << why;                                                       \
  } while (false)
