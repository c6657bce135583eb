#pragma once
// Checked MPI calls. Communicators must have MPI_ERRORS_RETURN, or the library ends the process before we can
// speak.

namespace convoy {

/// Throws LibraryError with the call's text and MPI's own words unless `code` is MPI_SUCCESS.
void check_mpi(int code, const char* call, const char* file, int line);

}  // namespace convoy

#define CONVOY_MPI(call) ::convoy::check_mpi((call), #call, __FILE__, __LINE__)
