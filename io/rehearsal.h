#pragma once
// HDF5 1.10.8 crashes on some files whose metadata is damaged, loops in others and takes memory on a header's word in a few;
// nothing in its interface tells beforehand (tests/fuzz finds a dozen places). So a child process reads first, and this
// process only touches what the child survived. Private to io.
#include <functional>
#include <string>

namespace convoy {

/// Runs `action`, which reads files and keeps nothing, in a child. Throws what `action` threw there (UsageError as itself,
/// anything else as DataError), or a DataError that begins with `subject` if the child died, used 300 s of processor time, or
/// asked for 4 GiB more memory than this process has. Returns in silence where no child can be had, or where three in a row
/// waited for a lock that another thread of this process held as they were made (or slept for a minute): then there is no
/// verdict. Costs a fork and the time of `action`.
void rehearse(const std::string& subject, const std::function<void()>& action);

}  // namespace convoy
