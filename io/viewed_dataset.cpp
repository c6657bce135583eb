#include "io/viewed_dataset.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/tensor/error.h"
#include "io/picture_reader.h"

namespace convoy {

namespace {

class ViewedDataset : public Dataset {
 public:
  ViewedDataset(std::unique_ptr<Dataset> stored, const DatasetOptions& options)
      : stored_(std::move(stored)), info_(stored_->info()), size_{options.size[0], options.size[1]},
        resize_short_(options.resize_short), reader_(*stored_, size_) {
    if (size_[0] < 1 || size_[1] < 1) throw UsageError(fmt::format("data.size is {} x {}; give positive extents", size_[0], size_[1]));
    if (resize_short_ != 0 && resize_short_ < std::max(size_[0], size_[1]))
      throw UsageError(fmt::format("data.resize-short is {}, less than data.size ({} x {})", resize_short_, size_[0], size_[1]));
    if (info_.encoding.empty() && (info_.dtype != DType::u8 || info_.sample.rank() != 3 || info_.sample[2] > 4))
      throw UsageError(fmt::format("data.size resamples pictures of uint8 [h, w, c], at most 4 channels, but these are {} {}",
                                   name_of(info_.dtype), info_.sample.str()));
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
    reader_.read(index, label, [&](PictureReader::Workshop& workshop, const PictureExtents& extents) {
      const PicturePart part{choose(extents.height, extents.width), size_[0], size_[1], image};
      workshop.viewer.show({&part, 1});
    });
  }

 private:
  std::unique_ptr<Dataset> stored_;
  DatasetInfo info_;
  std::int64_t size_[2];
  std::int64_t resize_short_;
  PictureReader reader_;
};

}  // namespace

std::unique_ptr<Dataset> make_viewed_dataset(std::unique_ptr<Dataset> stored, const DatasetOptions& options) {
  return std::make_unique<ViewedDataset>(std::move(stored), options);
}

}  // namespace convoy
