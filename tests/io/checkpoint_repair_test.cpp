// Repair of checkpoints: flipped bits come back as they were, and nothing else is taken for one.
#include "io/checkpoint_repair.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <random>
#include <set>

#include "core/tensor/error.h"
#include "io/checkpoint_samples.h"
#include "io/crc32c.h"
#include "io/flipped_bit.h"
#include "io/tensor_elements.h"
#include "io/word_sums.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;
using test::content_of;
using test::identical;
using test::message_of;
using test::ScratchFolder;
using test::write_content;
using Outcome = FileRepair::Outcome;

#define EXPECT_MENTIONS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

Checkpoint small_checkpoint(std::int64_t step = 12000) {
  Checkpoint checkpoint = test::sample_checkpoint(step);
  checkpoint.config = "[train]\nepochs = 5\n";
  return checkpoint;
}

std::uint64_t chosen_seed() {
  if (const char* text = std::getenv("CONVOY_TEST_SEED")) return std::strtoull(text, nullptr, 10);
  return std::random_device{}();
}

int scale() {
  const char* text = std::getenv("CONVOY_TEST_SCALE");
  return text ? std::max(1, std::atoi(text)) : 1;
}

std::string flipped(std::string content, std::size_t bit) {
  content[bit / 8] = static_cast<char>(content[bit / 8] ^ (1 << bit % 8));
  return content;
}

/// Where these bytes lie in the file's content.
std::size_t place_of(const std::string& content, const void* bytes, std::size_t size) {
  const std::size_t at = content.find(std::string(static_cast<const char*>(bytes), size));
  EXPECT_NE(at, std::string::npos);
  return at;
}

TEST(FlippedBit, IsFoundWhereverItIs) {
  std::mt19937_64 random(7);
  std::vector<unsigned char> bytes(1500);
  for (auto& byte : bytes) byte = static_cast<unsigned char>(random());
  const std::uint32_t before = crc32c(bytes.data(), bytes.size());
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= static_cast<unsigned char>(1 << bit % 8);
    const std::uint32_t after = crc32c(bytes.data(), bytes.size());
    bytes[bit / 8] ^= static_cast<unsigned char>(1 << bit % 8);
    ASSERT_EQ(flipped_bits(before, after, bytes.size()), std::vector<std::uint64_t>{bit});
  }
}

TEST(FlippedBit, HasTwoPlacesInTensorsBeyondTheCodesLength) {
  constexpr std::uint64_t kPeriod = (std::uint64_t{1} << 31) - 1;
  constexpr std::uint64_t kBytes = (std::uint64_t{1} << 28) + 10;
  const std::uint32_t last_bit = 0x82F63B78;  // the CRC of a flip of the last bit
  const std::vector<std::uint64_t> expected{8 * kBytes - 1 - kPeriod, 8 * kBytes - 1};
  EXPECT_EQ(flipped_bits(0, last_bit, kBytes), expected);
}

TEST(FlippedBit, IsNotFoundWhereTwoAre) {
  std::vector<unsigned char> bytes(100, 1);
  const std::uint32_t before = crc32c(bytes.data(), bytes.size());
  bytes[3] ^= 4;
  bytes[90] ^= 1;
  EXPECT_TRUE(flipped_bits(before, crc32c(bytes.data(), bytes.size()), bytes.size()).empty());
}

TEST(WordSums, AreThoseOfTheDefinition) {
  std::mt19937_64 random(9);
  for (const std::size_t size : {0u, 1u, 3u, 4u, 4095u, 4096u, 4097u, 10001u}) {
    std::vector<unsigned char> bytes(size);
    for (auto& byte : bytes) byte = static_cast<unsigned char>(random());
    WordSums expected;
    for (std::size_t i = 0; i < size; ++i) {
      const std::uint64_t part = std::uint64_t{bytes[i]} << 8 * (i % 4);
      expected.plain += part;
      expected.weighted += (i / 4 + 1) * part;
    }
    EXPECT_EQ(word_sums(bytes.data(), size), expected) << size;
  }
}

TEST(TensorElements, AreShownAsNumbers) {
  const auto text = [](std::uint64_t bits, DType dtype) {
    return element_text(reinterpret_cast<const std::byte*>(&bits), dtype);
  };
  EXPECT_EQ(text(0x3dcccccd, DType::f32), "0.1");
  EXPECT_EQ(text(0x3fc0, DType::bf16), "1.5");
  EXPECT_EQ(text(0xc100, DType::f16), "-2.5");
  EXPECT_EQ(text(0x0001, DType::f16), "5.9604645e-08");
  EXPECT_EQ(text(0x7c00, DType::f16), "inf");
  EXPECT_EQ(text(0x7e00, DType::f16), "nan");
  EXPECT_EQ(text(0xffffffff, DType::i32), "-1");
  EXPECT_EQ(text(200, DType::u8), "200");
  EXPECT_EQ(index_text(27, Shape{2, 3, 5}), "[1, 2, 2]");
  EXPECT_EQ(index_text(0, Shape{}), "[]");
}

TEST(RepairCheckpoint, LeavesAGoodFileAlone) {
  const ScratchFolder folder;
  write_checkpoint(folder / "a.h5", small_checkpoint());
  const FileRepair repair = repair_checkpoint(folder / "a.h5", false);
  EXPECT_EQ(repair.outcome, Outcome::good);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(RepairCheckpoint, TurnsAFlippedBitOfATensorBackAndSaysWhich) {
  const ScratchFolder folder;
  const fs::path file = folder / "a.h5";
  Checkpoint saved = small_checkpoint();
  saved.parameters["known"] = Tensor(Shape{3, 4}, DType::f32);
  for (float& value : saved.parameters["known"].values<float>()) value = 0.5F;
  write_checkpoint(file, saved);
  const std::string good = content_of(file);
  const std::size_t at = place_of(good, saved.parameters["known"].bytes(), 48);
  const std::string bad = flipped(good, 8 * (at + 4 * 6) + 30);
  write_content(file, bad);
  const FileRepair repair = repair_checkpoint(file, false);
  ASSERT_EQ(repair.outcome, Outcome::repaired);
  ASSERT_EQ(repair.repairs.size(), 1u);
  EXPECT_EQ(content_of(file), good);
  EXPECT_EQ(content_of(folder / "a.h5.damaged"), bad);
  EXPECT_EQ(repair.kept, fs::canonical(folder / "a.h5.damaged"));
  EXPECT_MENTIONS(to_text(repair), "/parameters/known [1, 2]: bit 30, 1.7014118e+38 -> 0.5");
  EXPECT_MENTIONS(to_json(repair), "\"outcome\": \"repaired\"");
}

TEST(RepairCheckpoint, EveryFlippedBitOfContentIsTurnedBack) {
  const ScratchFolder folder;
  const fs::path file = folder / "a.h5";
  const Checkpoint saved = small_checkpoint();
  write_checkpoint(file, saved);
  const std::string good = content_of(file);
  const std::uint64_t seed = chosen_seed();
  std::mt19937_64 random(seed);
  std::vector<std::pair<std::size_t, std::size_t>> places;
  for (const auto* group : {&saved.parameters, &saved.optimizer, &saved.state, &saved.averages})
    for (const auto& [name, tensor] : *group)
      if (tensor.size_bytes() > 0) places.emplace_back(place_of(good, tensor.bytes(), tensor.size_bytes()), tensor.size_bytes());
  places.emplace_back(place_of(good, saved.config.data(), saved.config.size()), saved.config.size());
  for (int i = 0; i < 40 * scale(); ++i) {
    const auto [at, size] = places[random() % places.size()];
    const std::size_t bit = 8 * at + random() % (8 * size);
    fs::remove(file);
    write_content(file, flipped(good, bit));
    const FileRepair repair = repair_checkpoint(file, false);
    ASSERT_EQ(repair.outcome, Outcome::repaired) << "bit " << bit << ", CONVOY_TEST_SEED=" << seed;
    ASSERT_EQ(content_of(file), good) << "bit " << bit << ", CONVOY_TEST_SEED=" << seed;
    ASSERT_EQ(repair.repairs.front().file_bit, bit);
    fs::remove(repair.kept);
  }
  std::printf("%d flips of content, all turned back, seed %llu\n", 40 * scale(), static_cast<unsigned long long>(seed));
}

TEST(RepairCheckpoint, EveryFlippedBitAnywhereIsTurnedBackOrWithoutEffect) {
  const ScratchFolder folder;
  const fs::path file = folder / "a.h5";
  write_checkpoint(file, small_checkpoint());
  const std::string good = content_of(file);
  const std::uint64_t seed = chosen_seed();
  std::mt19937_64 random(seed);
  int repaired = 0, harmless = 0;
  for (int i = 0; i < 100 * scale(); ++i) {
    const std::size_t bit = random() % (8 * good.size());
    fs::remove(file);
    write_content(file, flipped(good, bit));
    const FileRepair repair = repair_checkpoint(file, false);
    ASSERT_NE(repair.outcome, Outcome::damaged) << "bit " << bit << ", CONVOY_TEST_SEED=" << seed << to_text(repair);
    if (repair.outcome == Outcome::good) {
      ++harmless;
      continue;
    }
    ++repaired;
    ASSERT_EQ(content_of(file), good) << "bit " << bit << ", CONVOY_TEST_SEED=" << seed;
    fs::remove(repair.kept);
  }
  std::printf("%zu bytes, %d flips anywhere: %d turned back, %d without effect, seed %llu\n", good.size(),
              repaired + harmless, repaired, harmless, static_cast<unsigned long long>(seed));
  EXPECT_GT(repaired, harmless);
}

TEST(RepairCheckpoint, FlippedBitsAreFoundInTheHeapsAndTreesOfLargeGroupsToo) {
  const ScratchFolder folder;
  const fs::path file = folder / "a.h5";
  Checkpoint saved = small_checkpoint();
  for (int i = 0; i < 400; ++i) saved.parameters["layer_with_a_name" + std::to_string(i)] = Tensor(Shape{1}, DType::f32);
  write_checkpoint(file, saved);
  const std::string good = content_of(file);
  const std::uint64_t seed = chosen_seed();
  std::mt19937_64 random(seed);
  std::set<std::string> blocks;
  for (int i = 0; i < 40 * scale(); ++i) {
    // Half of them where the signatures of heaps and trees are rare among object headers.
    std::size_t byte = random() % good.size();
    constexpr std::array<const char*, 6> kBlocks{"FRHP", "FHDB", "FHIB", "BTHD", "BTLF", "BTIN"};
    const std::size_t block = good.find(kBlocks[static_cast<std::size_t>(i / 2) % kBlocks.size()], byte);
    if (i % 2 == 0 && block != good.npos) byte = block + random() % 34;
    const std::size_t bit = 8 * byte + random() % 8;
    fs::remove(file);
    write_content(file, flipped(good, bit));
    const FileRepair repair = repair_checkpoint(file, true);
    ASSERT_NE(repair.outcome, Outcome::damaged) << "bit " << bit << ", CONVOY_TEST_SEED=" << seed << to_text(repair);
    if (repair.outcome == Outcome::good) continue;
    ASSERT_EQ(repair.repairs.size(), 1u);
    ASSERT_EQ(repair.repairs.front().file_bit, bit);
    blocks.insert(repair.repairs.front().where.substr(0, repair.repairs.front().where.find(" at ")));
  }
  for (const std::string& name : blocks) std::printf("%s, ", name.c_str());
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  EXPECT_GE(blocks.size(), 3u);
}

TEST(RepairCheckpoint, SeveralFlippedBitsInDifferentBlocksAreTurnedBackOneByOne) {
  const ScratchFolder folder;
  const fs::path file = folder / "a.h5";
  const Checkpoint saved = small_checkpoint();
  write_checkpoint(file, saved);
  const std::string good = content_of(file);
  std::string bad = flipped(good, 8 * place_of(good, saved.config.data(), saved.config.size()) + 9);
  bad = flipped(bad, 8 * place_of(good, saved.parameters.at("conv1/filters").bytes(), 600) + 1000);
  bad = flipped(bad, 8 * good.find("OHDR") + 200);
  write_content(file, bad);
  const FileRepair repair = repair_checkpoint(file, false);
  EXPECT_EQ(repair.outcome, Outcome::repaired) << to_text(repair);
  EXPECT_EQ(repair.repairs.size(), 3u);
  EXPECT_EQ(content_of(file), good);
}

TEST(RepairCheckpoint, WorseDamageIsLeftAsItIsAndNamed) {
  const ScratchFolder folder;
  const fs::path file = folder / "a.h5";
  const Checkpoint saved = small_checkpoint();
  write_checkpoint(file, saved);
  const std::string good = content_of(file);
  const std::size_t at = 8 * place_of(good, saved.parameters.at("conv1/filters").bytes(), 600);
  const std::string bad = flipped(flipped(good, at + 5), at + 99);
  write_content(file, bad);
  const FileRepair repair = repair_checkpoint(file, false);
  EXPECT_EQ(repair.outcome, Outcome::damaged);
  EXPECT_EQ(content_of(file), bad);
  EXPECT_MENTIONS(to_text(repair), "/parameters/conv1/filters: ");
  EXPECT_MENTIONS(to_text(repair), "more than one bit is wrong");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(RepairCheckpoint, NoOverwrittenBlockIsTakenForAFlippedBit) {
  const ScratchFolder folder;
  const fs::path file = folder / "a.h5";
  Checkpoint saved;
  saved.parameters["large"] = test::random_tensor({3'000'000}, DType::f32, 4);  // 1 in 22 blocks would look like a flip
  write_checkpoint(file, saved);
  const std::string good = content_of(file);
  const std::size_t at = place_of(good, saved.parameters["large"].bytes(), 1 << 20);
  const std::uint64_t seed = chosen_seed();
  std::mt19937_64 random(seed);
  int alike = 0;
  for (int i = 0; i < 2 * scale(); ++i) {
    std::string bad = good;
    const std::size_t begin = at + random() % 11'000'000;
    for (std::size_t j = begin; j < begin + 512; ++j) bad[j] = static_cast<char>(random());
    const std::uint32_t before = crc32c(good.data() + at, 12'000'000), after = crc32c(bad.data() + at, 12'000'000);
    alike += !flipped_bits(before, after, 12'000'000).empty();
    fs::remove(file);
    write_content(file, bad);
    ASSERT_EQ(repair_checkpoint(file, true).outcome, Outcome::damaged) << "CONVOY_TEST_SEED=" << seed;
  }
  std::printf("%d blocks overwritten, %d with the CRC of a flipped bit, none repaired, seed %llu\n", 2 * scale(), alike,
              static_cast<unsigned long long>(seed));
}

TEST(RepairCheckpoint, ADryRunChangesNothing) {
  const ScratchFolder folder;
  const fs::path file = folder / "a.h5";
  const Checkpoint saved = small_checkpoint();
  write_checkpoint(file, saved);
  const std::string bad = flipped(content_of(file), 8 * place_of(content_of(file), saved.config.data(), 10));
  write_content(file, bad);
  EXPECT_EQ(repair_checkpoint(file, true).outcome, Outcome::repaired);
  EXPECT_EQ(content_of(file), bad);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(RepairCheckpoint, OfALinkRepairsTheFileBehindIt) {
  const ScratchFolder folder;
  const CheckpointFolder checkpoints(folder.path());
  const Checkpoint saved = small_checkpoint(5);
  const fs::path file = checkpoints.save(saved, 3, true);
  const std::string good = content_of(file);
  write_content(file, flipped(good, 8 * place_of(good, saved.config.data(), 10)));
  EXPECT_EQ(repair_checkpoint(folder / "latest", false).outcome, Outcome::repaired);
  EXPECT_EQ(content_of(file), good);
  EXPECT_TRUE(fs::is_symlink(folder / "latest"));
}

TEST(RepairCheckpoint, OfNothingIsWrongUsage) {
  const ScratchFolder folder;
  EXPECT_MENTIONS(message_of<UsageError>([&] { repair_checkpoint(folder / "none.h5", false); }), "none.h5");
  EXPECT_MENTIONS(message_of<UsageError>([&] { repair_run(folder / "none", false); }), "none");
}

/// A run folder with checkpoints of steps 1 to 4, the best of step 2.
CheckpointFolder make_run(const ScratchFolder& run) {
  const CheckpointFolder folder(run / "checkpoints");
  for (std::int64_t step = 1; step <= 4; ++step) {
    Checkpoint checkpoint = small_checkpoint(step);
    checkpoint.best = std::pair(0.5, std::min<std::int64_t>(step, 2));
    folder.save(checkpoint, 9, step <= 2);
  }
  return folder;
}

void damage(const fs::path& file, int bits) {
  std::string content = content_of(file);
  const std::size_t at = content.find("[train]");
  for (int i = 0; i < bits; ++i) content = flipped(content, 8 * at + 11 * static_cast<std::size_t>(i));
  write_content(file, content);
}

TEST(RepairRun, RepairsWhatItCanSetsTheRestAsideAndMendsTheLinks) {
  const ScratchFolder run;
  const CheckpointFolder folder = make_run(run);
  const std::string third = content_of(folder.file_for(3));
  damage(folder.file_for(4), 3);
  damage(folder.file_for(3), 1);
  damage(folder.file_for(2), 2);
  write_content(run / "checkpoints" / ".step-00000005.h5.elsewhere-77-0.convoy-tmp", "half");
  fs::last_write_time(run / "checkpoints" / ".step-00000005.h5.elsewhere-77-0.convoy-tmp",
                      fs::file_time_type::clock::now() - std::chrono::hours(2));
  const RunRepair repair = repair_run(run.path(), false);
  EXPECT_FALSE(repair.good());
  EXPECT_EQ(folder.steps(), (std::vector<std::int64_t>{3, 1}));
  EXPECT_EQ(content_of(folder.file_for(3)), third);
  EXPECT_TRUE(fs::exists(run / "checkpoints" / "step-00000004.h5.damaged"));
  EXPECT_EQ(fs::read_symlink(run / "checkpoints" / "latest"), "step-00000003.h5");
  EXPECT_EQ(fs::read_symlink(run / "checkpoints" / "best"), "step-00000001.h5") << "the best of those that are left";
  EXPECT_EQ(repair.leftovers.size(), 1u);
  EXPECT_MENTIONS(to_text(repair), "4 checkpoints: 1 good, 1 repaired, 2 damaged");
  EXPECT_TRUE(repair_run(run.path(), false).good()) << "what is left is good";
}

TEST(RepairRun, RebuildsLinksThatAreMissingOrWrong) {
  const ScratchFolder run;
  const CheckpointFolder folder = make_run(run);
  fs::remove(run / "checkpoints" / "best");
  fs::remove(run / "checkpoints" / "latest");
  fs::create_symlink("step-00000099.h5", run / "checkpoints" / "latest");
  const RunRepair repair = repair_run(run / "checkpoints", false);
  EXPECT_TRUE(repair.good());
  EXPECT_EQ(repair.links, (std::vector<std::string>{"latest -> step-00000004.h5", "best -> step-00000002.h5"}));
  EXPECT_EQ(folder.best(), fs::canonical(folder.file_for(2)).parent_path() / "step-00000002.h5");
  EXPECT_TRUE(repair_run(run.path(), false).links.empty());
}

TEST(RepairRun, ADryRunTellsAllAndChangesNothing) {
  const ScratchFolder run;
  const CheckpointFolder folder = make_run(run);
  damage(folder.file_for(4), 3);
  damage(folder.file_for(3), 1);
  fs::remove(run / "checkpoints" / "best");
  const RunRepair repair = repair_run(run.path(), true);
  EXPECT_FALSE(repair.good());
  EXPECT_MENTIONS(to_text(repair), "4 checkpoints: 2 good, 1 repaired, 1 damaged");
  EXPECT_MENTIONS(to_text(repair), "latest -> step-00000003.h5");
  EXPECT_EQ(folder.steps().size(), 4u);
  EXPECT_EQ(fs::read_symlink(run / "checkpoints" / "latest"), "step-00000004.h5");
  EXPECT_FALSE(fs::exists(run / "checkpoints" / "best"));
}

TEST(RepairRun, ARenamedFileIsSetAside) {
  const ScratchFolder run;
  const CheckpointFolder folder = make_run(run);
  fs::rename(folder.file_for(4), folder.file_for(9));
  const RunRepair repair = repair_run(run.path(), false);
  EXPECT_FALSE(repair.good());
  EXPECT_MENTIONS(to_text(repair), "it holds step 4");
  EXPECT_EQ(folder.steps().front(), 3);
}

}  // namespace
}  // namespace convoy
