#pragma once
// The cuda backend, and what it asks of NVIDIA's libraries.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/backend/cuda/kernel.h"
#include "core/backend/cuda_module.h"

namespace convoy::cuda {

/// Throws UsageError where there is no such device, LibraryError where the device or a library fails.
std::unique_ptr<Backend> make_backend(const CudaOptions& options);

/// Best first; the last of a kind takes everything. Empty for kinds that never reach a backend (candidates.cpp).
std::vector<Candidate> candidates(OpKind kind);

// Libraries (libraries.cpp; tests/support/cuda_emulator/no_libraries.cpp where there are none). Those of a context live as
// long as the kernels that are bound to it.
/// Null: there are none.
std::shared_ptr<Libraries> open_libraries(const Context& context, const CudaOptions& options);
/// For Backend::identity, plans and adopt_plans.
std::vector<std::pair<std::string, std::string>> library_versions(const Libraries& libraries);
std::string library_plans(const Libraries& libraries);
void adopt_library_plans(Libraries& libraries, const std::string& plans);

}  // namespace convoy::cuda
