#include "core/random/sha256.h"

#include <gtest/gtest.h>

namespace convoy {
namespace {

// NIST, "Secure Hash Standard" example values and the empty message of the CAVP short-message file.
TEST(Sha256, MatchesThePublishedDigestOfTheEmptyMessage) {
  EXPECT_EQ(hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256, MatchesThePublishedDigestOfOneBlock) {
  EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, MatchesThePublishedDigestOfTwoBlocks) {
  EXPECT_EQ(hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, MatchesThePublishedDigestOfAMillionTimesA) {
  Sha256 hash;
  const std::string piece(999, 'a');  // pieces that never meet the block size of 64
  for (int i = 0; i < 1001; ++i) hash.update(piece);
  hash.update("a");
  EXPECT_EQ(hex(hash.finish()), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, StartsAfreshAfterFinish) {
  Sha256 hash;
  hash.update("something else");
  hash.finish();
  EXPECT_EQ(hash.update("abc").finish(), sha256("abc"));
}

TEST(Sha256, ContinuesAfterAMove) {
  Sha256 first;
  first.update("a");
  Sha256 second = std::move(first);
  EXPECT_EQ(second.update("bc").finish(), sha256("abc"));
}

}  // namespace
}  // namespace convoy
