#include "io/bench_loader.h"

#include <gtest/gtest.h>

#include "dataset_fixture.h"
#include "io/bench_decode.h"

namespace convoy {
namespace {

TEST(BenchLoader, MeasuresEachContenderInEachRoundAndLeavesNothing) {
  const TemporaryFolder folder;
  LoaderBenchOptions options;
  options.sample = Shape{8, 8, 1};
  options.samples = 100;
  options.folder = folder.path();
  options.seconds = 0.002;
  options.repetitions = 3;
  options.augment = {.crop = {6, 6, 0}, .flip = true};
  std::int64_t rows = 0;
  options.consume = [&](const MicroBatch& batch) { rows += batch.images.shape()[0]; };
  const LoaderBenchResult result = bench_loader(options);
  EXPECT_EQ(result.samples, 100);
  for (const auto* rounds : {&result.loader, &result.read, &result.pread, &result.consumed}) {
    ASSERT_EQ(rounds->size(), 3u);
    for (double rate : *rounds) EXPECT_GT(rate, 0);
  }
  EXPECT_GT(rows, 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_HAS(to_json(result), R"("sample":[8,8,1])");
}

TEST(BenchLoader, ReadsAGivenSetAndRejectsForeignOnes) {
  const TemporaryFolder folder;
  make_split(folder.path(), Split::train, 20, 2);
  LoaderBenchOptions options;
  options.data = at(folder.path());
  options.seconds = 0.001;
  options.repetitions = 1;
  EXPECT_EQ(bench_loader(options).samples, 20);
  options.data.images = options.data.labels = "/x";
  EXPECT_THROW(bench_loader(options), UsageError);
}

TEST(BenchDecode, MeasuresEachContenderOnPicturesOfItsOwn) {
  const TemporaryFolder folder;
  DecodeBenchOptions options;
  options.data.size[0] = options.data.size[1] = 16;
  options.picture = Shape{40, 50, 3};
  options.samples = 6;
  options.folder = folder.path();
  options.rows = 3;
  options.seconds = 0.002;
  options.repetitions = 2;
  options.augment = {.flip = true, .view = {.kind = ViewKind::random_resized_crop}};
  std::int64_t rows = 0;
  options.consume = [&](const MicroBatch& batch) { rows += batch.images.shape()[0]; };
  const DecodeBenchResult result = bench_decode(options);
  EXPECT_EQ(result.sample, (Shape{16, 16, 3}));
  for (const auto* rounds : {&result.stored, &result.whole, &result.loader, &result.consumed}) {
    ASSERT_EQ(rounds->size(), 2u);
    for (double rate : *rounds) EXPECT_GT(rate, 0);
  }
  EXPECT_GT(rows, 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  make_split(folder.path(), Split::train, 20, 2);
  options.data.path = folder.path();
  EXPECT_HAS(error_of<UsageError>([&] { bench_decode(options); }), "needs JPEG pictures");
}

TEST(BenchLoader, MedianIsTheMiddle) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
}

}  // namespace
}  // namespace convoy
