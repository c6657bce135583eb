// One flipped bit anywhere in a copy of a checkpoint or a shard: what is loaded is what was saved, or nothing is.
#include <cstdlib>
#include <cstring>
#include <random>

#include "core/tensor/error.h"
#include "io/checkpoint_samples.h"
#include "io/dataset_fixture.h"
#include "io/describe_checkpoint.h"
#include "io/inspect.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using test::content_of;
using test::identical;
using test::ScratchFolder;
using test::write_content;

std::uint64_t chosen_seed() {
  if (const char* text = std::getenv("CONVOY_TEST_SEED")) return std::strtoull(text, nullptr, 10);
  return std::random_device{}();
}

/// 100 copies in the short run, 1,000 and more in the long one.
int copies() {
  const char* text = std::getenv("CONVOY_TEST_SCALE");
  return 100 * (text ? std::max(1, std::atoi(text)) : 1);
}

/// Replaces `file` by `good` with one bit flipped.
void write_flipped(const fs::path& file, const std::string& good, std::size_t bit) {
  std::string bad = good;
  bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
  fs::remove(file);
  write_content(file, bad);
}

TEST(FlippedBit, InTheNewestCheckpointIsNamedAndThePreviousOneUsedOrHasNoEffect) {
  const ScratchFolder scratch;
  const CheckpointFolder folder(scratch.path());
  const Checkpoint previous = test::sample_checkpoint(1000, 5), newest = test::sample_checkpoint(2000, 6);
  folder.save(previous, 9, false);
  const fs::path file = folder.save(newest, 9, false);
  const std::string good = content_of(file);
  const std::uint64_t seed = chosen_seed();
  std::mt19937_64 random(seed);
  int refused = 0;
  for (int i = 0; i < copies(); ++i) {
    // The config alone is nine tenths of this file: every second flip goes elsewhere.
    std::size_t byte = random() % good.size();
    while (i % 2 == 0 && good[byte] == '#') byte = random() % good.size();
    write_flipped(file, good, 8 * byte + random() % 8);
    std::vector<std::string> warnings;
    const auto loaded = folder.newest_valid(warnings);
    ASSERT_TRUE(loaded) << "byte " << byte << ", CONVOY_TEST_SEED=" << seed;
    const bool fell_back = loaded->second.step == 1000;
    ASSERT_TRUE(identical(loaded->second, fell_back ? previous : newest)) << "loaded silently: byte " << byte << ", seed " << seed;
    ASSERT_EQ(warnings.size(), fell_back ? 1u : 0u);
    if (fell_back) {
      EXPECT_NE(warnings.front().find(file.string() + ": "), std::string::npos) << warnings.front();
    }
    ASSERT_EQ(verify_checkpoint(file).good(), !fell_back) << "byte " << byte << ", CONVOY_TEST_SEED=" << seed;
    refused += fell_back;
  }
  std::printf("checkpoint of %zu bytes, %d copies with a flipped bit: %d refused, %d without effect, 0 loaded silently, seed %llu\n",
              good.size(), copies(), refused, copies() - refused, static_cast<unsigned long long>(seed));
  EXPECT_GT(refused, copies() / 2);
}

struct Samples {
  DatasetInfo info;
  std::vector<std::vector<std::byte>> images;
  std::vector<std::int32_t> labels;
};

/// All that a run may take from a split. Throws DataError.
Samples load(const fs::path& folder) {
  const auto dataset = open_dataset(at(folder));
  Samples samples{dataset->info(), {}, {}};
  for (std::int64_t i = 0; i < samples.info.stored_samples; ++i) {
    samples.images.emplace_back(static_cast<std::size_t>(samples.info.sample.elements()));
    samples.labels.emplace_back();
    dataset->read(i, samples.images.back().data(), &samples.labels.back());
  }
  return samples;
}

bool same(const Samples& a, const Samples& b) {
  return a.images == b.images && a.labels == b.labels && a.info.fingerprint == b.info.fingerprint &&
         a.info.class_names == b.info.class_names && a.info.channel_mean == b.info.channel_mean &&
         a.info.channel_std == b.info.channel_std && a.info.task == b.info.task && a.info.sample == b.info.sample &&
         a.info.dtype == b.info.dtype && a.info.stored_samples == b.info.stored_samples;
}

TEST(FlippedBit, InAShardIsRefusedByTheReaderAndToldByVerifyOrHasNoEffect) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 60, 2);
  const Samples saved = load(folder.path());
  const std::uint64_t seed = chosen_seed();
  std::mt19937_64 random(seed);
  int refused = 0, told = 0;
  for (int i = 0; i < copies(); ++i) {
    const fs::path file = folder.path() / (random() % 2 ? "train-00000-of-00002.h5" : "train-00001-of-00002.h5");
    const std::string good = content_of(file);
    const std::size_t bit = random() % (8 * good.size());
    write_flipped(file, good, bit);
    bool loads = true;
    try {
      ASSERT_TRUE(same(load(folder.path()), saved)) << "loaded silently: " << file << " bit " << bit << ", seed " << seed;
    } catch (const DataError&) {
      loads = false;
    }
    bool found = false;
    try {
      found = !inspect_verify(folder.path(), Split::train, {}).ok();
    } catch (const DataError&) {
      found = true;
    }
    ASSERT_TRUE(loads || found) << "verify says nothing: " << file << " bit " << bit << ", seed " << seed;
    refused += !loads;
    told += found;
    fs::remove(file);
    write_content(file, good);
  }
  std::printf("%d copies of a shard with a flipped bit: reader refused %d, verify told %d, 0 loaded silently, seed %llu\n",
              copies(), refused, told, static_cast<unsigned long long>(seed));
  EXPECT_GT(refused, copies() / 4);
}

}  // namespace
}  // namespace convoy
