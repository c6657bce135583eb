#include "io/viewed_dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>

#include "core/tensor/error.h"
#include "io/picture_viewer.h"

namespace convoy {

namespace {

/// What one thread decodes with.
struct Workshop {
  Workshop(const std::int64_t size[2], int channels) : viewer(size, channels) {}
  std::vector<std::byte> bytes;
  PictureViewer viewer;
};

class ViewedDataset : public Dataset {
 public:
  ViewedDataset(std::unique_ptr<Dataset> stored, const DatasetOptions& options)
      : stored_(std::move(stored)), info_(stored_->info()), resize_short_(options.resize_short) {
    size_[0] = options.size[0];
    size_[1] = options.size[1];
    if (size_[0] < 1 || size_[1] < 1) throw UsageError(fmt::format("data.size is {} x {}; give positive extents", size_[0], size_[1]));
    if (resize_short_ != 0 && resize_short_ < std::max(size_[0], size_[1]))
      throw UsageError(fmt::format("data.resize-short is {}, less than data.size ({} x {})", resize_short_, size_[0], size_[1]));
    if (info_.encoding.empty() && (info_.dtype != DType::u8 || info_.sample.rank() != 3 || info_.sample[2] > 4))
      throw UsageError(fmt::format("data.size resamples pictures of uint8 [h, w, c], at most 4 channels, but these are {} {}",
                                   name_of(info_.dtype), info_.sample.str()));
    stored_shape_ = info_.sample;
    channels_ = static_cast<int>(info_.sample[2]);
    info_.sample = Shape{size_[0], size_[1], info_.sample[2]};
    info_.has_views = true;
  }

  const DatasetInfo& info() const override { return info_; }
  std::size_t image_bytes() const override { return static_cast<std::size_t>(info_.sample.elements()); }
  std::int32_t label(std::int64_t index) const override { return stored_->label(index); }
  std::int64_t id(std::int64_t index) const override { return stored_->id(index); }
  std::string where(std::int64_t index) const override { return stored_->where(index); }
  void read_stored(std::int64_t index, std::vector<std::byte>& bytes, std::int32_t* label) const override {
    stored_->read_stored(index, bytes, label);
  }

  void read(std::int64_t index, std::byte* image, std::int32_t* label) const override {
    const auto centre = [this](std::int64_t height, std::int64_t width) {
      return centre_view(height, width, size_, resize_short_);
    };
    read_view(index, centre, image, label);
  }

  void read_view(std::int64_t index, const ChooseView& choose, std::byte* image, std::int32_t* label) const override {
    std::unique_ptr<Workshop> workshop = take_workshop();
    stored_->read_stored(index, workshop->bytes, label);
    try {
      if (info_.encoding.empty())
        workshop->viewer.show_pixels({reinterpret_cast<const std::uint8_t*>(workshop->bytes.data()), stored_shape_[1] * channels_,
                                      stored_shape_[0], stored_shape_[1], channels_}, choose, image);
      else
        workshop->viewer.show(workshop->bytes, "the picture", choose, image);
    } catch (const DataError& error) {
      throw DataError(fmt::format("{}: {}. Import it again", where(index), error.what()));
    }
    bring_back(std::move(workshop));
  }

 private:
  std::unique_ptr<Workshop> take_workshop() const {
    {
      const std::lock_guard lock(mutex_);
      if (!workshops_.empty()) {
        auto workshop = std::move(workshops_.back());
        workshops_.pop_back();
        return workshop;
      }
    }
    return std::make_unique<Workshop>(size_, channels_);
  }
  void bring_back(std::unique_ptr<Workshop> workshop) const {
    const std::lock_guard lock(mutex_);
    workshops_.push_back(std::move(workshop));
  }

  std::unique_ptr<Dataset> stored_;
  DatasetInfo info_;
  Shape stored_shape_;
  std::int64_t size_[2] = {0, 0};
  std::int64_t resize_short_;
  int channels_ = 0;
  mutable std::mutex mutex_;  // guards workshops_
  mutable std::vector<std::unique_ptr<Workshop>> workshops_;
};

}  // namespace

std::unique_ptr<Dataset> make_viewed_dataset(std::unique_ptr<Dataset> stored, const DatasetOptions& options) {
  return std::make_unique<ViewedDataset>(std::move(stored), options);
}

}  // namespace convoy
