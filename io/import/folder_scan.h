#pragma once
// What an image folder holds: splits, classes, files. Private to io/import.
#include <string>
#include <vector>

#include "io/import/import.h"

namespace convoy {

struct FolderImage {
  std::filesystem::path file;
  std::int32_t label = 0;
};

struct FolderSplit {
  Split split = Split::train;
  std::vector<FolderImage> images;     // by class, then by file name, in byte order
};

struct FolderScan {
  std::vector<FolderSplit> splits;
  std::vector<std::string> class_names;
  std::vector<SkippedFile> bad;        // meant as pictures, but no PNG
  std::vector<SkippedFile> other;      // not meant as pictures
  std::int64_t hidden = 0;
};

/// Looks at names and at the first bytes of files. `class_names` empty: the class folders of train, in byte order.
/// Throws DataError: no class folders, a class that train does not have, a named class without a folder.
FolderScan scan_image_folder(const std::filesystem::path& source, const std::vector<std::string>& class_names);

}  // namespace convoy
