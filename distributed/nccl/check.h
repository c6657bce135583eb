#pragma once
// Checked calls of NCCL.
#include <nccl.h>

#include <string>

namespace convoy::nccl {

/// The library's words for a status, with what it last complained of. `communicator` may be null.
std::string words_for(ncclResult_t status, ncclComm_t communicator);

/// Throws LibraryError with the call, NCCL's own words and the place. Under way (ncclInProgress) is no error.
void check(ncclResult_t status, const char* call, const char* file, int line);

}  // namespace convoy::nccl

#define CONVOY_NCCL(call) ::convoy::nccl::check((call), #call, __FILE__, __LINE__)
