#include "io/crc32c.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace convoy {
namespace {

std::vector<detail::Crc32c> implementations() {
  std::vector<detail::Crc32c> all{&detail::crc32c_table};
  for (const detail::Crc32c crc : {detail::crc32c_instruction(), detail::crc32c_folding()})
    if (crc) all.push_back(crc);
  return all;
}

// RFC 3720, appendix B.4.
TEST(Crc32c, MatchesThePublishedVectors) {
  const std::string zeros(32, '\0'), ones(32, '\xff'), digits = "123456789";
  std::string rising, falling;
  for (int i = 0; i < 32; ++i) rising += static_cast<char>(i), falling += static_cast<char>(31 - i);
  for (auto* crc : implementations()) {
    EXPECT_EQ(crc(zeros.data(), 32, 0), 0x8a9136aau);
    EXPECT_EQ(crc(ones.data(), 32, 0), 0x62a8ab43u);
    EXPECT_EQ(crc(rising.data(), 32, 0), 0x46dd794eu);
    EXPECT_EQ(crc(falling.data(), 32, 0), 0x113fdb5cu);
    EXPECT_EQ(crc(digits.data(), 9, 0), 0xe3069283u);
    EXPECT_EQ(crc(nullptr, 0, 0), 0u);
  }
}

TEST(Crc32c, AllImplementationsAgreeAtEveryLengthAndAlignment) {
  if (implementations().size() == 1) GTEST_SKIP() << "this processor has only the table";
  std::vector<unsigned char> bytes(3'000'100);
  std::uint32_t state = 1;
  for (unsigned char& byte : bytes) byte = static_cast<unsigned char>((state = state * 1664525 + 1013904223) >> 24);
  for (auto* crc : implementations()) {
    for (std::size_t size = 0; size < 1500; ++size)
      ASSERT_EQ(crc(bytes.data() + size % 9, size, 7), detail::crc32c_table(bytes.data() + size % 9, size, 7))
          << "length " << size;
    for (std::size_t size : {6015u, 6016u, 6143u, 6144u, 6145u, 12'300u, 150'528u, 199'990u, 3'000'001u})
      ASSERT_EQ(crc(bytes.data() + 3, size, 0), detail::crc32c_table(bytes.data() + 3, size, 0)) << "length " << size;
  }
}

TEST(Crc32c, ContinuesOverPieces) {
  const std::string text = "the image's bytes, then the label's";
  for (std::size_t cut = 0; cut <= text.size(); ++cut)
    EXPECT_EQ(crc32c(text.data() + cut, text.size() - cut, crc32c(text.data(), cut)), crc32c(text.data(), text.size()));
}

}  // namespace
}  // namespace convoy
