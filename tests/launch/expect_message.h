#pragma once
// EXPECT_USAGE_ERROR(statement, "part", "another part"): throws UsageError whose message holds every part.
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

#include "core/tensor/error.h"

namespace convoy::test {

inline void expect_parts(const std::string& message, std::initializer_list<std::string> parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << "message: " << message << "\nlacks:   " << part;
  }
}

}  // namespace convoy::test

#define EXPECT_USAGE_ERROR(statement, ...)                        \
  try {                                                           \
    statement;                                                    \
    ADD_FAILURE() << "expected a UsageError from " << #statement; \
  } catch (const ::convoy::UsageError& error) {                   \
    ::convoy::test::expect_parts(error.what(), {__VA_ARGS__});    \
  }
