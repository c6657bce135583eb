#pragma once
// How convoy reads HDF5 files: a file driver of its own. HDF5 1.10.8's default one lets metadata that was tampered with crash
// the library: it keeps an "accumulator" of metadata that addresses near the end of the address space overrun. This driver
// asks for no accumulator, and refuses every read that does not lie inside the file. Private to io, like io/hdf5.h.
#include <hdf5.h>

namespace convoy::hdf5 {

/// Makes files opened with this access list be read by that driver: regular files only, for reading only, without locks.
/// `descriptor` >= 0: an open file to read in place of the one that is named.
void set_reader(hid_t access, int descriptor = -1);

}  // namespace convoy::hdf5
