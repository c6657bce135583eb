#pragma once
// A bitmap font for captions: printable ASCII, five columns by nine rows in a cell of 6 x 10 pixels.
#include <array>
#include <cstdint>

namespace convoy {

inline constexpr int kGlyphWidth = 5, kGlyphHeight = 9;
inline constexpr int kCellWidth = 6, kCellHeight = 10;

/// Row by row from the top; bit 4 is the leftmost pixel. Rows 0-6 stand on the base line, 7 and 8 hang below
/// it.
using Glyph = std::array<std::uint8_t, kGlyphHeight>;

/// The glyph of a code point; a hollow box for what the font lacks.
const Glyph& glyph(char32_t code_point);

}  // namespace convoy
