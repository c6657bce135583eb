#pragma once
// confusion.png: which classes are taken for which, at one look.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/picture.h"

namespace convoy {

/// k x k cells, rows the true class, columns the predicted one, under a headline with the accuracy. A cell's
/// colour is its share of the row (of the true class's samples): blue on the diagonal, red beside it, on a
/// square-root scale since mistakes are few. Up to 40 classes have their counts written, up to 128 their names.
/// `counts`: [k * k], row-major [true, predicted]. Throws UsageError if sizes differ or k is 0 or above 2000.
Picture confusion_picture(const std::vector<std::string>& class_names, std::span<const std::int64_t> counts);

}  // namespace convoy
