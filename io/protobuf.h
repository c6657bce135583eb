#pragma once
// Messages in the wire format of Protocol Buffers (protobuf.dev, "Encoding"), as far as a writer of ONNX needs it. The
// format is three rules; the library would be one more that every login node must have, in the very version of the build.
#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace convoy {

/// The bytes of one message. Fields stand in the order in which they are added.
class ProtobufMessage {
 public:
  ProtobufMessage& number(int field, std::int64_t value) {
    key(field, 0);
    varint(static_cast<std::uint64_t>(value));
    return *this;
  }
  ProtobufMessage& real(int field, float value) {
    key(field, 5);
    const auto bits = std::bit_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) bytes_ += static_cast<char>(bits >> shift & 255);
    return *this;
  }
  ProtobufMessage& text(int field, std::string_view value) {
    announce(field, value.size());
    bytes_ += value;
    return *this;
  }
  ProtobufMessage& message(int field, const ProtobufMessage& value) { return text(field, value.bytes_); }
  /// The key and length of a text or message of which the bytes follow elsewhere.
  ProtobufMessage& announce(int field, std::uint64_t size_bytes) {
    key(field, 2);
    varint(size_bytes);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void key(int field, unsigned wire_type) { varint(static_cast<std::uint64_t>(field) << 3 | wire_type); }
  void varint(std::uint64_t value) {
    for (; value >= 128; value >>= 7) bytes_ += static_cast<char>((value & 127) | 128);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

}  // namespace convoy
