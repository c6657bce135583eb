#pragma once
// Labels are checked on the host, before a device gets them: its kernels cannot say what is wrong.
#include "io/loader.h"

namespace convoy {

/// DataError naming the sample of the first label that is not in [0, classes).
void check_labels(const MicroBatch& batch, std::int64_t classes);

}  // namespace convoy
