#pragma once
// What a file that somebody else may have made holds, looked at before anything is read or taken: where links lead, how
// datasets are stored, how much memory they ask for. Private to io, like io/hdf5.h.
#include <string>

#include "io/hdf5.h"

namespace convoy::hdf5 {

/// Lists for links and for datasets that follow no link into another file; for every call that takes a path.
hid_t inner_links();
hid_t inner_dataset();

/// Throws DataError naming the component of `path` that is a link into another file.
void refuse_outer_links(hid_t parent, const std::string& path);

struct Storage {
  bool filtered = false;   // compressed, shuffled or checksummed by HDF5
};
/// Throws DataError where the elements of `dataset` do not all lie in its own file: virtual or external storage, bytes beyond
/// the file's end, chunks that were never written; where a filter is none of HDF5's own (plugins are never loaded); and where
/// the extents claim more than the file could hold, by deflate's greatest ratio. So memory taken for it afterwards is bounded by
/// the file's size.
Storage check_storage(const Dataset& dataset);

/// "uint8", "int16", "float64", "text", ...: any type, for messages.
std::string type_text(hid_t type);

/// "/images uint8 [60000, 28, 28, 1], /labels int64 [60000]": the datasets of a file, the first `most` of them. Follows no links.
std::string list_datasets(const File& file, std::size_t most = 20);

}  // namespace convoy::hdf5
