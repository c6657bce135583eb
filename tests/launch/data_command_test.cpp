// convoy data, from importing to finding damage.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "launch/expect_message.h"
#include "launch/run_command.h"

namespace convoy {
namespace {

/// MNIST's format: big-endian 32-bit numbers after two zero bytes, the type (8: uint8) and the number of axes.
std::string idx(const std::vector<int>& extents, const std::string& elements) {
  std::string bytes = {0, 0, 8, static_cast<char>(extents.size())};
  for (const int extent : extents) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(extent >> shift & 255);
  }
  return bytes + elements;
}

/// Twelve training and six test images of 4x3 pixels in three classes.
class DataCommand : public testing::Test {
 protected:
  DataCommand() {
    std::filesystem::create_directory(input());
    for (const auto& [name, samples] : {std::pair{"train", 12}, std::pair{"t10k", 6}}) {
      std::string images, labels;
      for (int i = 0; i < samples; ++i) {
        labels += static_cast<char>(i % 3);
        for (int pixel = 0; pixel < 12; ++pixel) images += static_cast<char>((i * 7 + pixel) % 251);
      }
      write_bytes(input() / (std::string(name) + "-images-idx3-ubyte"), idx({samples, 4, 3}, images));
      write_bytes(input() / (std::string(name) + "-labels-idx1-ubyte"), idx({samples}, labels));
    }
  }

  Outcome import(const std::string& more = "") {
    return convoy_with("data import --from=idx --input='" + input().string() + "' --output='" +
                       output().string() + "' --shards=2 --class-names='cat,dog,a b' " + more);
  }

  std::filesystem::path input() const { return folder_.path() / "idx"; }
  std::filesystem::path output() const { return folder_.path() / "shards"; }
  std::string quoted_output() const { return " '" + output().string() + "' "; }

 private:
  TemporaryFolder folder_;
};

TEST_F(DataCommand, ImportsShowsVerifiesAndCounts) {
  const Outcome imported = import();
  ASSERT_EQ(imported.status, 0) << imported.err;
  test::expect_parts(imported.out, {"train", "12 samples", "test", "6 samples"});

  const Outcome info = convoy_with("data info --format=json" + quoted_output());
  ASSERT_EQ(info.status, 0) << info.err;
  const auto splits = nlohmann::json::parse(info.out);
  ASSERT_EQ(splits.size(), 2u);
  EXPECT_EQ(splits[0]["samples"], 12);
  EXPECT_EQ(splits[0]["sample"], (std::vector<int>{4, 3, 1}));
  EXPECT_EQ(splits[0]["shards"], 2);
  EXPECT_EQ(splits[0]["class_names"], (std::vector<std::string>{"cat", "dog", "a b"}));

  const Outcome verified = convoy_with("data verify" + quoted_output());
  EXPECT_EQ(verified.status, 0) << verified.err;
  test::expect_parts(verified.out, {"good", "18 samples"});

  const Outcome stats = convoy_with("data stats --data.split=test --format=json" + quoted_output());
  ASSERT_EQ(stats.status, 0) << stats.err;
  const auto counts = nlohmann::json::parse(stats.out);
  EXPECT_EQ(counts["samples"], 6);
  EXPECT_EQ(counts["classes"][2], (nlohmann::json{{"name", "a b"}, {"samples", 2}}));
}

TEST_F(DataCommand, VerifyNamesTheDamagedSampleAndEndsWithThree) {
  ASSERT_EQ(import().status, 0);
  const auto shard = output() / "train-00001-of-00002.h5";
  std::string bytes = bytes_of(shard);
  std::string image;  // of sample 7, the second of this shard
  for (int pixel = 0; pixel < 12; ++pixel) image += static_cast<char>((7 * 7 + pixel) % 251);
  const std::size_t at = bytes.find(image);
  ASSERT_NE(at, std::string::npos);
  flip_bit(shard, static_cast<std::int64_t>(at), 3);
  const Outcome outcome = convoy_with("data verify" + quoted_output());
  EXPECT_EQ(outcome.status, 3) << outcome.out;
  test::expect_parts(outcome.out, {"train-00001-of-00002.h5, sample 1"});
  const std::size_t message = outcome.err.find("convoy: ");  // after the lines of progress
  ASSERT_NE(message, std::string::npos) << outcome.err;
  EXPECT_EQ(lines_in(outcome.err.substr(message)), 1) << outcome.err;
}

TEST_F(DataCommand, ACutInputIsBadDataAndLeavesNoShards) {
  std::filesystem::resize_file(input() / "train-images-idx3-ubyte", 50);
  const Outcome outcome = import();
  EXPECT_EQ(outcome.status, 3) << outcome.err;
  test::expect_parts(outcome.err, {"train-images-idx3-ubyte"});
  EXPECT_FALSE(std::filesystem::exists(output() / "train-00000-of-00002.h5"));
}

TEST_F(DataCommand, ImportingTwiceNeedsOverwrite) {
  ASSERT_EQ(import().status, 0);
  EXPECT_EQ(import().status, 2);
  EXPECT_EQ(import("--overwrite").status, 0);
}

TEST_F(DataCommand, ImportAsksForWhatIsMissing) {
  const Outcome outcome = convoy_with("data import --input=x --output=y");
  EXPECT_EQ(outcome.status, 2);
  test::expect_parts(outcome.err, {"from is missing", "idx", "image-folder"});
}

}  // namespace
}  // namespace convoy
