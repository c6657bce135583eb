#include "io/viewed_dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>

#include "core/tensor/error.h"
#include "io/jpeg.h"
#include "io/picture_bytes.h"
#include "io/png.h"
#include "io/resample.h"

namespace convoy {

View centre_view(std::int64_t height, std::int64_t width, const std::int64_t size[2], std::int64_t resize_short) {
  const auto h = static_cast<double>(height), w = static_cast<double>(width);
  const auto rows = static_cast<double>(size[0]), columns = static_cast<double>(size[1]);
  const double scale = resize_short > 0 ? std::min(h, w) / static_cast<double>(resize_short) : std::min(h / rows, w / columns);
  const double view_height = std::min(rows * scale, h), view_width = std::min(columns * scale, w);
  return {(h - view_height) / 2, (w - view_width) / 2, view_height, view_width};
}

namespace {

/// What one thread decodes with.
struct Workshop {
  std::vector<std::byte> bytes;
  JpegDecoder jpeg;
  Resampler resampler;
};

/// The part of an axis of `extent` pixels that a filter reads around [begin, begin + length): first and count.
std::pair<std::int64_t, std::int64_t> pixels_around(double begin, double length, double reach, std::int64_t extent) {
  constexpr double kMore = 2;  // pixels at the edges of a part differ: libjpeg's upsampling looks at neighbours
  const auto first = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::floor(begin - reach - kMore)), 0, extent - 1);
  const auto last = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(begin + length + reach + kMore)), first + 1, extent);
  return {first, last - first};
}

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
      show(*workshop, choose, reinterpret_cast<std::uint8_t*>(image));
    } catch (const DataError& error) {
      throw DataError(fmt::format("{}: {}. Import it again", where(index), error.what()));
    }
    bring_back(std::move(workshop));
  }

 private:
  void show(Workshop& workshop, const ChooseView& choose, std::uint8_t* image) const {
    if (info_.encoding == "jpeg") return show_jpeg(workshop, choose, image);
    Tensor decoded;
    PixelRows rows{.channels = channels_};
    if (info_.encoding == "png") {
      decoded = as_bytes(decode_png(workshop.bytes, "the picture"), channels_);
      rows.data = reinterpret_cast<const std::uint8_t*>(decoded.bytes());
      rows.height = decoded.shape()[0];
      rows.width = decoded.shape()[1];
    } else {
      rows.data = reinterpret_cast<const std::uint8_t*>(workshop.bytes.data());
      rows.height = stored_shape_[0];
      rows.width = stored_shape_[1];
    }
    rows.row_bytes = rows.width * channels_;
    workshop.resampler.run(rows, choose(rows.height, rows.width), image, size_[0], size_[1]);
  }

  void show_jpeg(Workshop& workshop, const ChooseView& choose, std::uint8_t* image) const {
    const JpegHeader header = workshop.jpeg.open(workshop.bytes, "the picture");
    View view = choose(header.height, header.width);
    int scale = 1;
    while (scale < 8 && view.height >= static_cast<double>(2 * scale * size_[0]) &&
           view.width >= static_cast<double>(2 * scale * size_[1]))
      scale *= 2;
    for (double* edge : {&view.top, &view.left, &view.height, &view.width}) *edge /= scale;
    const auto [top, height] = pixels_around(view.top, view.height, filter_reach(view.height, size_[0]),
                                             (header.height + scale - 1) / scale);
    const auto [left, width] = pixels_around(view.left, view.width, filter_reach(view.width, size_[1]),
                                             (header.width + scale - 1) / scale);
    const auto pixels = workshop.jpeg.decode({top, left, height, width}, scale, channels_);
    view.top -= static_cast<double>(pixels.box.top);
    view.left -= static_cast<double>(pixels.box.left);
    workshop.resampler.run({pixels.data, pixels.row_bytes, pixels.box.height, pixels.box.width, channels_}, view, image,
                           size_[0], size_[1]);
  }

  std::unique_ptr<Workshop> take_workshop() const {
    {
      const std::lock_guard lock(mutex_);
      if (!workshops_.empty()) {
        auto workshop = std::move(workshops_.back());
        workshops_.pop_back();
        return workshop;
      }
    }
    return std::make_unique<Workshop>();
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
