#include "launch/train/check_labels.h"

#include <fmt/format.h>

#include "core/tensor/error.h"

namespace convoy {

void check_labels(const MicroBatch& batch, std::int64_t classes) {
  const auto labels = batch.labels.values<std::int32_t>();
  for (std::size_t row = 0; row < labels.size(); ++row)
    if (labels[row] < 0 || labels[row] >= classes)
      throw DataError(fmt::format("sample {} of the split: label {}, but the model has {} classes. Run `convoy data verify` "
                                  "for the full list, then import the data again",
                                  batch.indices[row], labels[row], classes));
}

}  // namespace convoy
