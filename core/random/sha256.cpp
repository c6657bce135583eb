#include "core/random/sha256.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#include <cassert>

#include "core/tensor/error.h"

namespace convoy {
namespace {

// EVP calls return 1 on success.
void check(int status, const char* call) {
  if (status == 1) return;
  char words[256] = "no reason given";
  if (const unsigned long code = ERR_get_error()) ERR_error_string_n(code, words, sizeof words);
  throw LibraryError(std::string("libcrypto: ") + call + " failed: " + words);
}

}  // namespace

struct Sha256::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  Context() { check(evp != nullptr, "EVP_MD_CTX_new"); }
  ~Context() { EVP_MD_CTX_free(evp); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void start() { check(EVP_DigestInit_ex(evp, EVP_sha256(), nullptr), "EVP_DigestInit_ex(EVP_sha256())"); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) { context_->start(); }
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::update(const void* data, std::size_t size_bytes) {
  assert(context_ && "moved from");
  check(EVP_DigestUpdate(context_->evp, data, size_bytes), "EVP_DigestUpdate");
  return *this;
}

Sha256Digest Sha256::finish() {
  assert(context_ && "moved from");
  Sha256Digest digest;
  unsigned int size = 0;
  check(EVP_DigestFinal_ex(context_->evp, digest.data(), &size), "EVP_DigestFinal_ex");
  check(size == digest.size(), "EVP_DigestFinal_ex (size of the digest)");
  context_->start();
  return digest;
}

Sha256Digest sha256(std::string_view text) { return Sha256().update(text).finish(); }

std::string hex(const Sha256Digest& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * digest.size());
  for (const std::uint8_t byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace convoy
