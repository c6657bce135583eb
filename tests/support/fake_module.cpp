// A module for tests. FAKE_ENTRY: its function; FAKE_BUILD: the build that it claims (absent: this one); FAKE_NEEDS: a
// function that is nowhere.
#include "support/fake_module.h"

#include <string_view>

#include "core/tensor/error.h"

#ifdef FAKE_NEEDS
extern "C" void of_a_library_that_is_not_there();
#endif

namespace {

void fail(const char* kind) {
  if (std::string_view(kind) == "usage") throw convoy::UsageError("thrown in the module");
  throw convoy::LibraryError("thrown in the module");
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const convoy::ModuleHead* FAKE_ENTRY() {
#ifdef FAKE_NEEDS
  of_a_library_that_is_not_there();
#endif
#ifdef FAKE_BUILD
  static const convoy::FakeModule module{{FAKE_BUILD}, fail};
#else
  static const convoy::FakeModule module{{convoy::module_build()}, fail};
#endif
  return &module.head;
}
