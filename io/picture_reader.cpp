#include "io/picture_reader.h"

#include <fmt/format.h>

namespace convoy {

std::unique_ptr<PictureReader::Workshop> PictureReader::take() const {
  {
    const std::lock_guard lock(mutex_);
    if (!workshops_.empty()) {
      auto workshop = std::move(workshops_.back());
      workshops_.pop_back();
      return workshop;
    }
  }
  return std::make_unique<Workshop>(size_, static_cast<int>(dataset_.info().stored[-1]));
}

void PictureReader::bring_back(std::unique_ptr<Workshop> workshop) const {
  const std::lock_guard lock(mutex_);
  workshops_.push_back(std::move(workshop));
}

PictureExtents PictureReader::open(Workshop& workshop) const {
  const DatasetInfo& info = dataset_.info();
  if (!info.encoding.empty()) return workshop.viewer.open(workshop.bytes, "the picture");
  const Shape& shape = info.stored;
  return workshop.viewer.open({reinterpret_cast<const std::uint8_t*>(workshop.bytes.data()), shape[1] * shape[2], shape[0], shape[1],
                               static_cast<int>(shape[2])});
}

void PictureReader::fail(std::int64_t index, const DataError& error) const {
  throw DataError(fmt::format("{}: {}. Import it again", dataset_.where(index), error.what()));
}

}  // namespace convoy
