// One JPEG file: its header, its orientation, then rectangles of it at every scale, as views ask for them.
#include "fuzz/target.h"
#include "io/jpeg.h"
#include "io/picture_viewer.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace convoy;
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  const int orientation = exif_orientation(file);
  fuzz::promise(orientation >= 1 && orientation <= 8, "an orientation of the standard");
  constexpr JpegLimits kLimits{.pixels = 1 << 18};
  return fuzz::read_or_refuse([&] {
    JpegDecoder decoder;
    for (const int scale : {1, 2, 4, 8}) {
      const JpegHeader header = decoder.open(file, "input.jpg", kLimits);
      const std::int64_t height = (header.height + scale - 1) / scale, width = (header.width + scale - 1) / scale;
      // The first bytes behind the header's choose the rectangle.
      const std::int64_t top = size > 20 ? data[size / 2] % height : 0, left = size > 20 ? data[size / 3] % width : 0;
      const PixelBox wanted{top, left, 1 + (height - top - 1) / 2, 1 + (width - left - 1) / 3};
      const auto pixels = decoder.decode(wanted, scale, scale == 2 ? 1 : 3);
      fuzz::promise(pixels.box.left <= wanted.left && pixels.box.left + pixels.box.width >= wanted.left + wanted.width,
                    "at least what was asked for");
      const std::uint8_t* last = pixels.data + (pixels.box.height - 1) * pixels.row_bytes + pixels.row_bytes - 1;
      volatile std::uint8_t touched = *last;
      static_cast<void>(touched);
    }
  });
}
