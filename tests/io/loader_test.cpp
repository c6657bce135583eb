// The training stream and the loader.
#include "io/loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <set>
#include <thread>

#include "core/random/philox.h"
#include "dataset_fixture.h"
#include "io/hdf5.h"
#include "io/ledger.h"

namespace convoy {
namespace {

std::vector<std::int64_t> epoch_of(const SampleOrder& order, std::int64_t n, std::int64_t epoch) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(n));
  order.indices(epoch * n, indices);
  return indices;
}

TEST(SampleOrder, IsABijectionInEveryEpochForAnySizeAndBlock) {
  for (const char* variant : {"full-v1", "blocks-v1:1", "blocks-v1:3", "blocks-v1:7", "blocks-v1:64", "blocks-v1:5000"})
    for (std::int64_t n : {1, 2, 3, 15, 16, 17, 48, 49, 97, 336, 337, 1000, 1025}) {
      const SampleOrder order(5, n, variant);
      for (std::int64_t epoch : {0, 1, 1000}) {
        auto indices = epoch_of(order, n, epoch);
        std::sort(indices.begin(), indices.end());
        for (std::int64_t i = 0; i < n; ++i)
          ASSERT_EQ(indices[std::size_t(i)], i) << variant << ", " << n << " samples, epoch " << epoch;
      }
    }
}

TEST(SampleOrder, SeeksToAnyPosition) {
  for (const char* variant : {"full-v1", "blocks-v1:7"}) {
    const SampleOrder order(5, 337, variant);
    std::vector<std::int64_t> three_epochs(3 * 337);
    order.indices(0, three_epochs);
    for (std::int64_t p = 0; p < 3 * 337; ++p) ASSERT_EQ(order.index_at(p), three_epochs[std::size_t(p)]) << variant << " " << p;
  }
}

TEST(SampleOrder, DependsOnSeedEpochAndVariant) {
  const SampleOrder order(5, 300, "full-v1");
  EXPECT_NE(epoch_of(order, 300, 0), epoch_of(order, 300, 1));
  EXPECT_NE(epoch_of(order, 300, 0), epoch_of(SampleOrder(6, 300, "full-v1"), 300, 0));
  EXPECT_NE(epoch_of(order, 300, 0), epoch_of(SampleOrder(5, 300, "blocks-v1:10"), 300, 0));
  EXPECT_EQ(epoch_of(order, 300, 2), epoch_of(SampleOrder(5, 300, "full-v1"), 300, 2));
}

// Storage that hates random reads must see 16 blocks of neighbours at a time.
TEST(SampleOrder, BlocksTouchSixteenBlocksAtATime) {
  const std::int64_t k = 10, n = 1605;
  const auto indices = epoch_of(SampleOrder(5, n, "blocks-v1:10"), n, 0);
  std::set<std::int64_t> finished;
  for (std::size_t begin = 0; begin < indices.size();) {
    std::set<std::int64_t> window;
    std::size_t end = begin;
    std::size_t room = 0;
    for (; end < indices.size() && (window.count(indices[end] / k) || window.size() < 16); ++end) window.insert(indices[end] / k);
    for (std::int64_t block : window) {
      EXPECT_FALSE(finished.count(block)) << "block " << block << " is read twice";
      finished.insert(block);
      room += static_cast<std::size_t>(std::min(k, n - block * k));
    }
    EXPECT_EQ(end - begin, room);
    begin = end;
  }
}

TEST(SampleOrder, RejectsUnknownVariants) {
  for (const char* variant : {"", "full", "full-v2", "blocks-v1", "blocks-v1:", "blocks-v1:0", "blocks-v1:-3", "blocks-v1:4x"})
    EXPECT_THROW(SampleOrder(1, 10, variant), UsageError) << variant;
  EXPECT_THROW(SampleOrder(1, 0, "full-v1"), UsageError);
}

class LoaderTest : public ::testing::Test {
 protected:
  LoaderTest() {
    make_split(folder_.path(), Split::train, 103, 4);
    dataset_ = open_dataset(at(folder_.path()));
  }

  static TrainingStream stream(std::int64_t batch = 24, int workers = 8, std::int64_t steps = 12) {
    TrainingStream s;
    s.order_seed = 3;
    s.batch = batch;
    s.virtual_workers = workers;
    s.last_worker = workers;
    s.last_step = steps;
    s.augment = {.crop = {4, 3, 0}, .pad = {1, 2, 0}, .flip = true, .seed = 11};
    return s;
  }

  /// All that a micro-batch holds, as bytes.
  static std::string content(const MicroBatch& b) {
    std::string all = std::to_string(b.step) + "/" + std::to_string(b.index) + ":";
    for (const Tensor* t : {&b.images, &b.labels, &b.weights, &b.transforms, &b.keys, &b.partner_labels, &b.partner_weights})
      all.append(reinterpret_cast<const char*>(t->bytes()), t->size_bytes());
    all.append(reinterpret_cast<const char*>(b.indices.data()), b.indices.size() * sizeof b.indices[0]);
    return all;
  }

  std::vector<std::string> run(const TrainingStream& s, const LoaderOptions& options) const {
    std::vector<std::string> all;
    const auto loader = make_training_loader(*dataset_, s, options);
    for (std::int64_t step = s.first_step; step < s.last_step; ++step)
      for (int v = s.first_worker; v < s.last_worker; ++v) all.push_back(content(*loader->next(step, v)));
    return all;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Dataset> dataset_;
};

TEST_F(LoaderTest, EpochsCoverEverySampleExactlyOnce) {
  for (const char* order : {"full-v1", "blocks-v1:10"}) {
    TrainingStream s = stream();
    s.order = order;
    s.last_step = 2 * 103;  // 48 epochs
    const auto loader = make_training_loader(*dataset_, s, {});
    std::map<std::uint64_t, std::vector<int>> seen;
    for (std::int64_t step = 0; step < s.last_step; ++step)
      for (int v = 0; v < s.virtual_workers; ++v) {
        const auto batch = loader->next(step, v);
        const auto keys = batch->keys.values<std::uint64_t>();
        for (std::size_t r = 0; r < batch->indices.size(); ++r) {
          auto& epoch = seen[keys[2 * r]];
          epoch.resize(103);
          ++epoch[keys[2 * r + 1]];
        }
      }
    ASSERT_EQ(seen.size(), 48u);
    for (const auto& [epoch, counts] : seen) EXPECT_EQ(counts, std::vector<int>(103, 1)) << order << ", epoch " << epoch;
  }
}

TEST_F(LoaderTest, RowsHoldTheSampleOfTheirPosition) {
  const TrainingStream s = stream();
  const SampleOrder order(s.order_seed, 103, s.order);
  const auto loader = make_training_loader(*dataset_, s, {});
  for (std::int64_t step = 0; step < s.last_step; ++step)
    for (int v = 0; v < 8; ++v) {
      const auto batch = loader->next(step, v);
      for (std::int64_t row = 0; row < 3; ++row) {
        const std::int64_t position = step * 24 + v * 3 + row, index = order.index_at(position);
        const auto image = image_of(index, 60);
        ASSERT_EQ(batch->indices[std::size_t(row)], index);
        ASSERT_EQ(std::memcmp(batch->images.bytes() + 60 * row, image.data(), 60), 0);
        ASSERT_EQ(batch->labels.values<std::int32_t>()[std::size_t(row)], index % 10);
        ASSERT_EQ(batch->keys.values<std::uint64_t>()[std::size_t(2 * row)], std::uint64_t(position / 103));
        ASSERT_EQ(batch->weights.values<float>()[std::size_t(row)], 1.0f);
      }
    }
}

TEST_F(LoaderTest, TransformsFollowTheirFormula) {
  const auto loader = make_training_loader(*dataset_, stream(), {});
  std::set<std::int32_t> rows, columns, flips;
  for (std::int64_t step = 0; step < 12; ++step)
    for (int v = 0; v < 8; ++v) {
      const auto batch = loader->next(step, v);
      const auto keys = batch->keys.values<std::uint64_t>();
      const auto transforms = batch->transforms.values<std::int32_t>();
      for (std::size_t r = 0; r < 3; ++r) {
        const RandomKey key = RandomKey(11, "augment").child(keys[2 * r]).child(keys[2 * r + 1]);
        ASSERT_EQ(transforms[4 * r], static_cast<std::int32_t>(key.below(0, 5 + 2 - 4 + 1)) - 1);
        ASSERT_EQ(transforms[4 * r + 1], static_cast<std::int32_t>(key.below(1, 4 + 4 - 3 + 1)) - 2);
        ASSERT_EQ(transforms[4 * r + 2], 0);
        ASSERT_EQ(transforms[4 * r + 3], key.word(3) >> 31 ? 2 : 0);
        rows.insert(transforms[4 * r]), columns.insert(transforms[4 * r + 1]), flips.insert(transforms[4 * r + 3]);
      }
    }
  EXPECT_EQ(rows, (std::set<std::int32_t>{-1, 0, 1, 2}));
  EXPECT_EQ(columns, (std::set<std::int32_t>{-2, -1, 0, 1, 2, 3}));
  EXPECT_EQ(flips, (std::set<std::int32_t>{0, 2}));
}

TEST_F(LoaderTest, ThreadsAndDepthChangeNothing) {
  const auto expected = run(stream(), {.threads = 0});
  for (const LoaderOptions& options : {LoaderOptions{1, 1}, LoaderOptions{1, 2}, LoaderOptions{3, 1}, LoaderOptions{4, 5}})
    EXPECT_EQ(run(stream(), options), expected) << options.threads << " threads, depth " << options.depth;
}

TEST_F(LoaderTest, RanksSplitTheSameMicroBatches) {
  const auto expected = run(stream(), {.threads = 1});
  for (int ranks : {1, 2, 3, 4, 5, 8}) {
    std::vector<std::string> gathered(expected.size());
    for (int r = 0; r < ranks; ++r) {
      TrainingStream s = stream();
      s.first_worker = r * 8 / ranks;
      s.last_worker = (r + 1) * 8 / ranks;
      const auto part = run(s, {.threads = 2});
      const auto width = static_cast<std::size_t>(s.last_worker - s.first_worker);
      for (std::size_t i = 0; i < part.size(); ++i)
        gathered[i / width * 8 + static_cast<std::size_t>(s.first_worker) + i % width] = part[i];
    }
    EXPECT_EQ(gathered, expected) << ranks << " ranks";
  }
}

TEST_F(LoaderTest, StartingLaterContinuesTheStream) {
  const auto whole = run(stream(), {});
  TrainingStream later = stream();
  later.first_step = 7;
  EXPECT_EQ(run(later, {}), std::vector<std::string>(whole.begin() + 7 * 8, whole.end()));
}

TEST_F(LoaderTest, ManyThreadsTakeTheirMicroBatches) {
  const auto expected = run(stream(), {.threads = 0});
  const auto loader = make_training_loader(*dataset_, stream(), {.threads = 2, .depth = 1});
  std::vector<std::string> taken(expected.size());
  std::vector<std::thread> consumers;
  for (int t = 0; t < 4; ++t)
    consumers.emplace_back([&, t] {
      for (std::int64_t step = 0; step < 12; ++step)
        for (int v = t; v < 8; v += 4) taken[static_cast<std::size_t>(step * 8 + v)] = content(*loader->next(step, v));
    });
  for (std::thread& consumer : consumers) consumer.join();
  EXPECT_EQ(taken, expected);
}

TEST_F(LoaderTest, BatchesThatAreKeptStayAsTheyAre) {
  const auto expected = run(stream(), {.threads = 0});
  std::vector<std::shared_ptr<MicroBatch>> kept;
  {
    const auto loader = make_training_loader(*dataset_, stream(), {.threads = 2, .depth = 1});
    for (std::int64_t step = 0; step < 12; ++step)
      for (int v = 0; v < 8; ++v) kept.push_back(loader->next(step, v));
  }
  for (std::size_t i = 0; i < kept.size(); ++i) ASSERT_EQ(content(*kept[i]), expected[i]);
}

TEST_F(LoaderTest, BuffersGoRound) {
  const auto loader = make_training_loader(*dataset_, stream(24, 8, 60), {.threads = 1, .depth = 2});
  std::set<const void*> buffers;
  for (std::int64_t step = 0; step < 60; ++step)
    for (int v = 0; v < 8; ++v) buffers.insert(loader->next(step, v)->images.bytes());
  EXPECT_LE(buffers.size(), 24u);
}

TEST_F(LoaderTest, EndsAtAnyTime) {
  for (int taken : {0, 1, 5, 40}) {
    const auto loader = make_training_loader(*dataset_, stream(24, 8, 1000), {.threads = 3, .depth = 4});
    for (int i = 0; i < taken; ++i) loader->next(i / 8, i % 8);
  }
}

TEST_F(LoaderTest, ADamagedSampleReachesTheCallerOfItsMicroBatchOnly) {
  const auto file = folder_.path() / "train-00002-of-00004.h5";
  std::int64_t offset = 0;
  {
    const hdf5::File opened = hdf5::open_file(file);
    offset = static_cast<std::int64_t>(H5Dget_offset(hdf5::open_dataset(opened.get(), "images").get()));
  }
  flip_bit(file, offset + 4 * 60 + 31, 6);
  const std::int64_t damaged = 103 * 2 / 4 + 4;
  for (int threads : {0, 1, 3}) {
    const auto loader = make_training_loader(*dataset_, stream(), {.threads = threads});
    const SampleOrder order(3, 103, "full-v1");
    int faults = 0;
    for (std::int64_t step = 0; step < 12; ++step)
      for (int v = 0; v < 8; ++v) {
        bool holds_it = false;
        for (int row = 0; row < 3; ++row) holds_it |= order.index_at(step * 24 + v * 3 + row) == damaged;
        const std::string message = error_of<DataError>([&] { loader->next(step, v); });
        EXPECT_HAS(message, holds_it ? "train-00002-of-00004.h5, sample 4: damaged" : "nothing was thrown");
        faults += holds_it;
      }
    EXPECT_GE(faults, 2);  // 288 positions are two epochs and a part of the third
  }
}

TEST_F(LoaderTest, EvaluationGoesInIndexOrderAndPadsTheLastBlock) {
  const AugmentOptions augment{.crop = {2, 3, 0}};
  for (int threads : {0, 2}) {
    const auto loader = make_evaluation_loader(*dataset_, 10, 0, 11, augment, {.threads = threads});
    for (std::int64_t block = 0; block < 11; ++block) {
      const auto batch = loader->next(block, 0);
      for (std::int64_t row = 0; row < 10; ++row) {
        const std::int64_t index = block * 10 + row;
        const auto r = static_cast<std::size_t>(row);
        const bool exists = index < 103;
        ASSERT_EQ(batch->indices[r], exists ? index : -1);
        ASSERT_EQ(batch->weights.values<float>()[r], exists ? 1.0f : 0.0f);
        ASSERT_EQ(batch->labels.values<std::int32_t>()[r], exists ? index % 10 : 0);
        const auto image = exists ? image_of(index, 60) : std::vector<std::byte>(60);
        ASSERT_EQ(std::memcmp(batch->images.bytes() + 60 * row, image.data(), 60), 0) << index;
        const auto t = batch->transforms.values<std::int32_t>().subspan(4 * r, 4);
        ASSERT_EQ((std::vector<std::int32_t>(t.begin(), t.end())), (std::vector<std::int32_t>{1, 0, 0, 0}));
      }
    }
  }
}

TEST_F(LoaderTest, RejectsWhatCannotBe) {
  EXPECT_THROW(make_training_loader(*dataset_, stream(104, 8), {}), UsageError);
  EXPECT_THROW(make_training_loader(*dataset_, stream(25, 8), {}), UsageError);
  TrainingStream large_crop = stream();
  large_crop.augment.crop[0] = 8;
  EXPECT_THROW(make_training_loader(*dataset_, large_crop, {}), UsageError);
  EXPECT_THROW(make_evaluation_loader(*dataset_, 10, 0, 12, {}, {}), UsageError);
  const auto loader = make_training_loader(*dataset_, stream(), {});
  EXPECT_THROW(loader->next(12, 0), UsageError);
  EXPECT_THROW(loader->next(0, 8), UsageError);
}

TEST(Ledger, ClosedFormEqualsTheSum) {
  for (std::int64_t n = 0; n < 70; ++n) {
    EpochLedger expected{.epoch = 2};
    for (std::int64_t i = 0; i < n; ++i) ++expected.count, expected.sum += std::uint64_t(i), expected.exclusive_or ^= std::uint64_t(i);
    EXPECT_EQ(whole_epoch(n, 2), expected) << n;
  }
}

TEST_F(LoaderTest, LedgersOfRanksAddUpToTheWholeEpoch) {
  for (double share : {0.0, 0.3}) {
    const auto dataset = open_dataset(at(folder_.path(), Split::train, share));
    const std::int64_t n = dataset->info().samples;
    TrainingStream s = stream(8, 4, (2 * n + 7) / 8);
    LedgerBook total;
    for (int rank = 0; rank < 2; ++rank) {
      s.first_worker = 2 * rank;
      s.last_worker = 2 * rank + 2;
      const auto loader = make_training_loader(*dataset, s, {});
      LedgerBook mine;
      for (std::int64_t step = 0; step < s.last_step; ++step)
        for (int v = s.first_worker; v < s.last_worker; ++v) mine.add(*loader->next(step, v));
      total.add(mine);
    }
    EXPECT_EQ(total.of(0), whole_epoch(*dataset, 0));
    EXPECT_EQ(total.of(1), whole_epoch(*dataset, 1));
    LedgerBook by_position;
    by_position.add_positions(SampleOrder(s.order_seed, n, s.order), *dataset, 0, 8 * s.last_step);
    EXPECT_EQ(by_position.open(), total.open());
    by_position.close(0);
    EXPECT_EQ(by_position.of(0), EpochLedger{});
  }
}

}  // namespace
}  // namespace convoy
