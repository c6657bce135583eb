#include "launch/printable.h"

#include <fmt/format.h>

namespace convoy {
namespace {

/// Bytes of the UTF-8 sequence at the start of `text`; 0: there is none. Surrogates and overlong forms need no care here:
/// a terminal shows them as one odd character.
std::size_t sequence_at(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t length = first < 0x80 ? 1 : first >= 0xC2 && first < 0xE0 ? 2 : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xF0 && first < 0xF5                  ? 4
                                                                              : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) return 0;
  return length;
}

/// C0 and DEL as one byte, C1 (U+0080 to U+009F) as two.
bool is_control(std::string_view sequence) {
  const auto first = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return (first < 0x20 && first != '\n' && first != '\t') || first == 0x7F;
  return first == 0xC2 && static_cast<unsigned char>(sequence[1]) < 0xA0;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = sequence_at(text);
    const std::string_view piece = text.substr(0, length == 0 ? 1 : length);
    if (length != 0 && !is_control(piece)) {
      out += piece;
    } else {
      for (const char byte : piece) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    }
    text.remove_prefix(piece.size());
  }
  return out;
}

}  // namespace convoy
