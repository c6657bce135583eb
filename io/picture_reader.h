#pragma once
// Stored pictures, opened for a viewer. Private to io.
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "core/tensor/error.h"
#include "io/dataset.h"
#include "io/picture_viewer.h"

namespace convoy {

/// Threads: any number.
class PictureReader {
 public:
  /// What one thread works with.
  struct Workshop {
    Workshop(const std::int64_t size[2], int channels) : viewer(size, channels) {}
    std::vector<std::byte> bytes;   // of the file, or pixels as stored
    PictureViewer viewer;
    std::vector<std::byte> scratch; // the user's
  };

  /// Of pictures as `dataset` stores them: encoded, or uint8 [h, w, c]. It outlives this object.
  PictureReader(const Dataset& dataset, const std::int64_t size[2]) : dataset_(dataset), size_{size[0], size[1]} {}

  /// use(Workshop&, const PictureExtents&) with sample `index` opened in the viewer. Throws DataError naming file and sample.
  template <typename Use>
  void read(std::int64_t index, std::int32_t* label, Use use) const {
    std::unique_ptr<Workshop> workshop = take();
    dataset_.read_stored(index, workshop->bytes, label);
    try {
      use(*workshop, open(*workshop));
    } catch (const DataError& error) {
      fail(index, error);
    }
    bring_back(std::move(workshop));
  }

 private:
  std::unique_ptr<Workshop> take() const;
  void bring_back(std::unique_ptr<Workshop> workshop) const;
  PictureExtents open(Workshop& workshop) const;
  [[noreturn]] void fail(std::int64_t index, const DataError& error) const;

  const Dataset& dataset_;
  std::int64_t size_[2];
  mutable std::mutex mutex_;  // guards workshops_
  mutable std::vector<std::unique_ptr<Workshop>> workshops_;
};

}  // namespace convoy
