#pragma once
// SHA-256 (FIPS 180-4) through OpenSSL's libcrypto.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace convoy {

using Sha256Digest = std::array<std::uint8_t, 32>;

/// Hashes what it is fed, piece by piece.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  Sha256& update(const void* data, std::size_t size_bytes);
  Sha256& update(std::string_view text) { return update(text.data(), text.size()); }
  /// Ends the hash; the object then starts afresh.
  Sha256Digest finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Sha256Digest sha256(std::string_view text);
/// 64 lower-case hexadecimal digits.
std::string hex(const Sha256Digest& digest);

}  // namespace convoy
