#pragma once
// A small canvas for the pictures of an evaluation. Whatever lies outside is clipped.
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "core/tensor/tensor.h"

namespace convoy {

struct Color {
  std::uint8_t red = 0, green = 0, blue = 0;
  bool operator==(const Color&) const = default;
};

inline constexpr Color kWhite{255, 255, 255}, kBlack{0, 0, 0}, kGray{128, 128, 128};

/// `share` of b, the rest of a; clamped to [0, 1].
Color mix(Color a, Color b, double share);

/// A box of pixels: left, top, width, height.
struct Box {
  int x = 0, y = 0, width = 0, height = 0;
};

struct TextStyle {
  Color color = kBlack;
  int scale = 1;        // pixels a dot of the font
  bool upward = false;  // turned to the left, read from below
};

/// RGB pixels, x to the right, y down.
class Picture {
 public:
  /// Filled with one colour. Throws UsageError unless 1 <= width, height <= 32768.
  Picture(int width, int height, Color background = kWhite);

  int width() const { return width_; }
  int height() const { return height_; }
  /// The pixel; black outside.
  Color at(int x, int y) const;
  void set(int x, int y, Color color);

  void fill(Box box, Color color);
  /// A frame of one pixel, inside the box.
  void frame(Box box, Color color);

  /// Draws an image into a box, each pixel from the nearest of the image's. `image`: [h, w] or [h, w, c], c = 1
  /// gray, 2 gray + alpha, 3 RGB, 4 RGBA (alpha over white); a volume [d, h, w, c] shows its middle slice.
  /// uint8 as it is, uint16 by its upper byte, or stretched from 0 to its largest value where that is below
  /// 4096; floats within [0, 1] times 255, others stretched from their smallest to their largest. NaN is black.
  /// Throws UsageError for others.
  void blit(const Tensor& image, Box box);

  /// Draws UTF-8 text with its upper left corner (upward: lower left, as the page lies) at x, y. Characters
  /// that the font lacks are boxes.
  void text(int x, int y, std::string_view text, TextStyle style = {});

  /// [height, width, 3] uint8, sharing the canvas.
  const Tensor& pixels() const { return pixels_; }
  /// As PNG; errors as write_png.
  void save(const std::filesystem::path& path) const;

 private:
  int width_, height_;
  Tensor pixels_;

  // Of a pixel's first sample; x, y inside.
  std::size_t offset(int x, int y) const {
    return 3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) + static_cast<std::size_t>(x));
  }
};

/// Pixels that a text takes along its line.
int text_width(std::string_view text, int scale = 1);
/// The text, or its beginning and ".." if it has more than `characters` (at least 3).
std::string shortened(std::string_view text, int characters);

}  // namespace convoy
