#pragma once
#include "core/backend/module.h"

namespace convoy {

/// What the fake modules give.
struct FakeModule {
  ModuleHead head;
  void (*fail)(const char* kind);  // throws LibraryError, or UsageError for "usage"
};

}  // namespace convoy
