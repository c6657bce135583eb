#include "io/picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/tensor/error.h"
#include "io/font.h"
#include "io/png.h"

namespace convoy {
namespace {

constexpr int kLargestSide = 32768;
constexpr char32_t kReplacement = 0xfffd;

// The next code point of UTF-8 text, removed from its front; kReplacement for bytes that are none.
char32_t next_character(std::string_view& text) {
  const auto first = static_cast<unsigned char>(text.front());
  text.remove_prefix(1);
  if (first < 0x80) return first;
  const int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
  char32_t code_point = first & (0x3fu >> more);
  for (int i = 0; i < more; ++i) {
    if (text.empty() || (static_cast<unsigned char>(text.front()) & 0xc0) != 0x80) return kReplacement;
    code_point = code_point << 6 | (static_cast<unsigned char>(text.front()) & 0x3fu);
    text.remove_prefix(1);
  }
  return more ? code_point : kReplacement;
}

int characters_in(std::string_view text) {
  int count = 0;
  for (; !text.empty(); ++count) next_character(text);
  return count;
}

}  // namespace

Color mix(Color a, Color b, double share) {
  const double t = std::clamp(share, 0.0, 1.0);
  const auto blend = [&](int x, int y) { return static_cast<std::uint8_t>(std::lround(x + t * (y - x))); };
  return {blend(a.red, b.red), blend(a.green, b.green), blend(a.blue, b.blue)};
}

Picture::Picture(int width, int height, Color background) : width_(width), height_(height) {
  if (std::min(width, height) < 1 || std::max(width, height) > kLargestSide)
    throw UsageError(fmt::format("a picture of {} x {} pixels cannot be drawn; sides are 1 to {}", width,
                                 height, kLargestSide));
  pixels_ = Tensor(Shape{height, width, 3}, DType::u8);
  fill({0, 0, width, height}, background);
}

Color Picture::at(int x, int y) const {
  if (x < 0 || y < 0 || x >= width_ || y >= height_) return kBlack;
  const auto* pixel = pixels_.values<std::uint8_t>().data() + offset(x, y);
  return {pixel[0], pixel[1], pixel[2]};
}

void Picture::set(int x, int y, Color color) {
  if (x < 0 || y < 0 || x >= width_ || y >= height_) return;
  auto* pixel = pixels_.values<std::uint8_t>().data() + offset(x, y);
  pixel[0] = color.red;
  pixel[1] = color.green;
  pixel[2] = color.blue;
}

void Picture::fill(Box box, Color color) {
  const int left = std::max(0, box.x), right = std::min(width_, box.x + box.width);
  const int top = std::max(0, box.y), bottom = std::min(height_, box.y + box.height);
  if (left >= right) return;
  for (int y = top; y < bottom; ++y) {
    auto* pixel = pixels_.values<std::uint8_t>().data() + offset(left, y);
    for (int x = left; x < right; ++x, pixel += 3) {
      pixel[0] = color.red;
      pixel[1] = color.green;
      pixel[2] = color.blue;
    }
  }
}

void Picture::frame(Box box, Color color) {
  fill({box.x, box.y, box.width, 1}, color);
  fill({box.x, box.y + box.height - 1, box.width, 1}, color);
  fill({box.x, box.y, 1, box.height}, color);
  fill({box.x + box.width - 1, box.y, 1, box.height}, color);
}

void Picture::text(int x, int y, std::string_view text, TextStyle style) {
  for (int column = 0; !text.empty(); ++column) {
    const Glyph& rows = glyph(next_character(text));
    for (int v = 0; v < kGlyphHeight; ++v)
      for (int u = 0; u < kGlyphWidth; ++u) {
        if (!(rows[static_cast<std::size_t>(v)] >> (kGlyphWidth - 1 - u) & 1)) continue;
        const int along = (column * kCellWidth + u) * style.scale, down = v * style.scale;
        if (style.upward)
          fill({x + down, y - along - style.scale, style.scale, style.scale}, style.color);
        else
          fill({x + along, y + down, style.scale, style.scale}, style.color);
      }
  }
}

void Picture::save(const std::filesystem::path& path) const { write_png(path, pixels_); }

int text_width(std::string_view text, int scale) {
  const int characters = characters_in(text);
  return characters ? (characters * kCellWidth - (kCellWidth - kGlyphWidth)) * scale : 0;
}

std::string shortened(std::string_view text, int characters) {
  if (characters_in(text) <= characters) return std::string(text);
  std::string_view rest = text;
  for (int i = 0; i < std::max(characters, 3) - 2; ++i) next_character(rest);
  return std::string(text.substr(0, text.size() - rest.size())) + "..";
}

}  // namespace convoy
