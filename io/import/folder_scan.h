#pragma once
// What an image folder holds: splits, classes, files. Private to io/import.
#include <span>
#include <string>
#include <vector>

#include "io/import/file_list.h"
#include "io/import/import.h"
#include "io/import/report_part.h"

namespace convoy {

/// Whom a scan tells of every file, as it goes.
class ScanSink {
 public:
  virtual ~ScanSink() = default;
  /// A split begins; its pictures follow, by class, then by file name, in byte order.
  virtual void split(Split split) = 0;
  /// A JPEG or PNG by its first bytes, `start`, which are at most kStartBytes.
  virtual void picture(const ListedFile& file, std::span<const std::byte> start) = 0;
  /// A file that is no picture: bad where its name says that one was meant.
  virtual void other(const std::filesystem::path& file, Fate fate, const std::string& why) = 0;
  /// Names that start with a dot.
  virtual void hidden(const std::filesystem::path& file) = 0;
};
inline constexpr std::size_t kStartBytes = 33;  // as far as PNG's header goes

/// Looks at names and at the first bytes of files; memory holds the names of one folder. Returns the class names:
/// `class_names`, or where that is empty the class folders of train, in byte order. Throws DataError: no class folders, a
/// class that train does not have, a named class without a folder.
std::vector<std::string> scan_image_folder(const std::filesystem::path& source, const std::vector<std::string>& class_names,
                                           ScanSink& sink);

/// The same from a list: lines PATH<TAB>LABEL, paths relative to the list's folder or absolute, labels the numbers of classes
/// or their names. All pictures are of `split`. Returns the class names: `class_names`; or, where that is empty, the names in
/// the list in byte order, or "0", "1", ... for numbers. Throws DataError naming the line.
std::vector<std::string> scan_list(const std::filesystem::path& list, const std::vector<std::string>& class_names, Split split,
                                   ScanSink& sink);

}  // namespace convoy
