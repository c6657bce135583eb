#include "io/picture_crops.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/tensor/error.h"
#include "io/picture_reader.h"

namespace convoy {
namespace {

constexpr std::int64_t kGoogLeNetSize = 224;
constexpr std::array<std::int64_t, 4> kGoogLeNetSides{256, 288, 320, 352};

std::vector<CropSource> corner_sources(const PictureCrops& crops, std::int64_t height, std::int64_t width) {
  const PictureView middle = centre_view(height, width, crops.size, crops.resize_short);
  const PixelBox whole{0, 0, crops.size[0], crops.size[1]};
  std::vector<CropSource> sources{{middle, whole.height, whole.width, {whole}}};
  for (const double row : {0.0, 1.0})
    for (const double column : {0.0, 1.0}) {
      const PictureView corner{row * (static_cast<double>(height) - middle.height), column * (static_cast<double>(width) - middle.width),
                               middle.height, middle.width};
      sources.push_back({corner, whole.height, whole.width, {whole}});
    }
  return sources;
}

/// The images of a square of `side` pixels.
std::vector<PixelBox> cuts_of(std::int64_t side, std::int64_t size) {
  const std::int64_t far = side - size;
  std::vector<PixelBox> cuts{{far / 2, far / 2, size, size}};
  for (const std::int64_t row : {std::int64_t{0}, far})
    for (const std::int64_t column : {std::int64_t{0}, far}) cuts.push_back({row, column, size, size});
  cuts.push_back({0, 0, side, side});
  return cuts;
}

std::vector<CropSource> square_sources(std::int64_t size, std::int64_t height, std::int64_t width) {
  const auto side = static_cast<double>(std::min(height, width));
  std::vector<CropSource> sources;
  for (const std::int64_t scale : kGoogLeNetSides) {
    const std::int64_t resized = (size * scale + kGoogLeNetSize / 2) / kGoogLeNetSize;
    for (const double place : {0.0, 0.5, 1.0}) {
      const PictureView square{place * (static_cast<double>(height) - side), place * (static_cast<double>(width) - side), side, side};
      sources.push_back({square, resized, resized, cuts_of(resized, size)});
    }
  }
  return sources;
}

/// Rows of `box` one after the other.
void copy_box(const std::byte* picture, std::size_t row_bytes, const PixelBox& box, std::size_t channels, std::byte* image) {
  const std::size_t bytes = static_cast<std::size_t>(box.width) * channels;
  picture += static_cast<std::size_t>(box.top) * row_bytes + static_cast<std::size_t>(box.left) * channels;
  for (std::int64_t row = 0; row < box.height; ++row, picture += row_bytes, image += bytes) std::memcpy(image, picture, bytes);
}

class CroppedDataset : public Dataset {
 public:
  CroppedDataset(const Dataset& pictures, const PictureCrops& crops)
      : pictures_(pictures), crops_(crops), info_(pictures.info()), reader_(pictures, crops.size) {
    info_.sample = Shape{images_of(crops), crops.size[0], crops.size[1], info_.stored[2]};
    info_.has_views = false;
    channels_ = static_cast<std::size_t>(info_.stored[2]);
  }

  const DatasetInfo& info() const override { return info_; }
  std::size_t image_bytes() const override { return static_cast<std::size_t>(info_.sample.elements()); }
  std::int32_t label(std::int64_t index) const override { return pictures_.label(index); }
  std::int64_t id(std::int64_t index) const override { return pictures_.id(index); }
  std::string where(std::int64_t index) const override { return pictures_.where(index); }
  void read_stored(std::int64_t index, std::vector<std::byte>& bytes, std::int32_t* label) const override {
    pictures_.read_stored(index, bytes, label);
  }
  void read_view(std::int64_t index, const ChooseView&, std::byte*, std::int32_t*) const override {
    throw Error(fmt::format("{}: another view was asked for of a sample that is all crops of a picture", where(index)));
  }

  void read(std::int64_t index, std::byte* images, std::int32_t* label) const override {
    reader_.read(index, label, [&](PictureReader::Workshop& workshop, const PictureExtents& extents) {
      const std::vector<CropSource> sources = crop_sources(crops_, extents.height, extents.width);
      show(workshop, sources);
      const std::byte* resized = workshop.scratch.data();
      for (const CropSource& source : sources) {
        for (const PixelBox& box : source.cuts) {
          cut(source, resized, box, images);
          images += info_.sample.elements(1, 4);
        }
        resized += bytes_of(source);
      }
    });
  }

 private:
  std::size_t bytes_of(const CropSource& source) const {
    return static_cast<std::size_t>(source.height * source.width) * channels_;
  }

  /// All parts, one after the other, into the workshop's scratch.
  void show(PictureReader::Workshop& workshop, const std::vector<CropSource>& sources) const {
    std::size_t bytes = 0;
    for (const CropSource& source : sources) bytes += bytes_of(source);
    workshop.scratch.resize(bytes);
    std::vector<PicturePart> parts;
    std::byte* resized = workshop.scratch.data();
    for (const CropSource& source : sources) {
      parts.push_back({source.view, source.height, source.width, resized});
      resized += bytes_of(source);
    }
    workshop.viewer.show(parts);
  }

  void cut(const CropSource& source, const std::byte* resized, const PixelBox& box, std::byte* image) const {
    const std::size_t row_bytes = static_cast<std::size_t>(source.width) * channels_;
    if (box.height == crops_.size[0] && box.width == crops_.size[1]) return copy_box(resized, row_bytes, box, channels_, image);
    const PixelRows rows{reinterpret_cast<const std::uint8_t*>(resized), static_cast<std::int64_t>(row_bytes), source.height, source.width,
                         static_cast<int>(channels_)};
    const PictureView view{static_cast<double>(box.top), static_cast<double>(box.left), static_cast<double>(box.height),
                           static_cast<double>(box.width)};
    Resampler().run(rows, view, reinterpret_cast<std::uint8_t*>(image), crops_.size[0], crops_.size[1]);
  }

  const Dataset& pictures_;
  PictureCrops crops_;
  DatasetInfo info_;
  PictureReader reader_;
  std::size_t channels_ = 0;
};

}  // namespace

std::int64_t images_of(const PictureCrops& crops) {
  return crops.plan == PictureCrops::Plan::corners ? 5 : std::int64_t{kGoogLeNetSides.size()} * 3 * 6;
}

std::vector<CropSource> crop_sources(const PictureCrops& crops, std::int64_t height, std::int64_t width) {
  return crops.plan == PictureCrops::Plan::corners ? corner_sources(crops, height, width) : square_sources(crops.size[0], height, width);
}

void check_crops(const DatasetInfo& info, const PictureCrops& crops) {
  if (info.dtype != DType::u8 || info.stored.rank() != 3 || info.stored[2] > 4)
    throw UsageError(fmt::format("these crops are of pictures of uint8 [h, w, c], at most 4 channels, but the images here are {} {}",
                                 name_of(info.dtype), info.stored.str()));
  const auto [height, width] = crops.size;
  if (height < 1 || width < 1) throw UsageError(fmt::format("crops of {} x {}; expected positive extents", height, width));
  if (crops.plan == PictureCrops::Plan::squares && height != width)
    throw UsageError(fmt::format("these crops are cut from squares, but the model takes {} x {}; 10 crops have any form", height, width));
  if (crops.plan == PictureCrops::Plan::corners && (crops.resize_short < std::max(height, width) || crops.resize_short <= std::min(height, width)))
    throw UsageError(fmt::format("data.resize-short is {}, which leaves no corners around the {} x {} that the model takes: give a "
                                 "larger one", crops.resize_short, height, width));
}

std::unique_ptr<Dataset> make_cropped_dataset(const Dataset& pictures, const PictureCrops& crops) {
  check_crops(pictures.info(), crops);
  return std::make_unique<CroppedDataset>(pictures, crops);
}

}  // namespace convoy
