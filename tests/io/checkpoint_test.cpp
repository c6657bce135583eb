#include "io/checkpoint.h"

#include <limits>

#include "core/tensor/error.h"
#include "io/checkpoint_samples.h"

namespace convoy {
namespace {

using test::identical;
using test::message_of;
using test::sample_checkpoint;
using test::ScratchFolder;

TEST(Checkpoint, SaveThenLoadIsIdentity) {
  const ScratchFolder folder;
  const Checkpoint saved = sample_checkpoint();
  const std::int64_t size = write_checkpoint(folder / "a.h5", saved);
  EXPECT_EQ(size, static_cast<std::int64_t>(std::filesystem::file_size(folder / "a.h5")));
  EXPECT_TRUE(identical(read_checkpoint(folder / "a.h5"), saved));
}

TEST(Checkpoint, SaveThenLoadIsIdentityForNothingAtAll) {
  const ScratchFolder folder;
  write_checkpoint(folder / "a.h5", Checkpoint{});
  EXPECT_TRUE(identical(read_checkpoint(folder / "a.h5"), Checkpoint{}));
}

TEST(Checkpoint, SaveThenLoadIsIdentityForManyTensorsAndLongTexts) {
  const ScratchFolder folder;
  Checkpoint saved = sample_checkpoint();
  for (int i = 0; i < 300; ++i)
    saved.optimizer["momentum/layer" + std::to_string(i) + "/" + std::string(static_cast<std::size_t>(i + 1), 'x')] =
        test::random_tensor({i % 7, 3}, DType::f32, static_cast<std::uint64_t>(i));
  saved.run_record["plans"] = std::string(200'000, 'p');
  for (int i = 0; i < 20'000; ++i) saved.skipped_steps.push_back(i);
  write_checkpoint(folder / "a.h5", saved);
  EXPECT_TRUE(identical(read_checkpoint(folder / "a.h5"), saved));
}

TEST(Checkpoint, SameContentGivesTheSameBytes) {
  const ScratchFolder folder;
  write_checkpoint(folder / "a.h5", sample_checkpoint());
  write_checkpoint(folder / "b.h5", sample_checkpoint());
  EXPECT_EQ(test::content_of(folder / "a.h5"), test::content_of(folder / "b.h5"));
}

TEST(Checkpoint, SavingReplacesTheOldFileAndLeavesNothingElse) {
  const ScratchFolder folder;
  write_checkpoint(folder / "a.h5", sample_checkpoint(1));
  write_checkpoint(folder / "a.h5", sample_checkpoint(2));
  EXPECT_EQ(read_checkpoint(folder / "a.h5").step, 2);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(Checkpoint, UnwritableFolderIsNamed) {
  const ScratchFolder folder;
  test::write_content(folder / "file", "not a folder");
  const std::string missing =
      message_of<LibraryError>([&] { write_checkpoint(folder / "missing/step.h5", Checkpoint{}); });
  EXPECT_NE(missing.find("missing/step.h5: No such file or directory"), std::string::npos) << missing;
  const std::string file = message_of<LibraryError>([&] { write_checkpoint(folder / "file/step.h5", Checkpoint{}); });
  EXPECT_NE(file.find("file/step.h5: Not a directory"), std::string::npos) << file;
}

TEST(Checkpoint, RefusesNamesThatAreNoPaths) {
  const ScratchFolder folder;
  for (const std::string& name : {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"),
                                  std::string("a/./b"), std::string("../a"), std::string("a\nb"), std::string("a\0b", 3),
                                  std::string(2000, 'n'), std::string("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q")}) {
    Checkpoint checkpoint;
    checkpoint.state[name] = Tensor(Shape{1}, DType::f32);
    EXPECT_THROW(write_checkpoint(folder / "a.h5", checkpoint), UsageError) << name;
    EXPECT_THROW(digest_of(checkpoint), UsageError) << name;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Checkpoint, RefusesATensorThatIsAnotherOnesFolder) {
  const ScratchFolder folder;
  Checkpoint checkpoint;
  for (const char* name : {"conv", "conv-a", "conv/bias"}) checkpoint.state[name] = Tensor(Shape{1}, DType::f32);
  const std::string message = message_of<UsageError>([&] { write_checkpoint(folder / "a.h5", checkpoint); });
  EXPECT_NE(message.find("state/conv/bias"), std::string::npos) << message;
}

TEST(Checkpoint, RefusesWhatTheFormatCannotHold) {
  const ScratchFolder folder;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto refused = [&](auto change) {
    Checkpoint checkpoint = sample_checkpoint();
    change(checkpoint);
    EXPECT_THROW(write_checkpoint(folder / "a.h5", checkpoint), UsageError);
  };
  refused([](Checkpoint& c) { c.parameters["none"] = Tensor(); });
  refused([](Checkpoint& c) { c.config = std::string("a\0b", 3); });
  refused([](Checkpoint& c) { c.run_record["bytes"] = "\xff\xfe"; });
  refused([&](Checkpoint& c) { c.loss_scale = nan; });
  refused([&](Checkpoint& c) { c.best = {nan, 3}; });
  refused([](Checkpoint& c) { c.step = -1; });
}

TEST(Checkpoint, LoadsFilesThatAreNamedOnly) {
  const ScratchFolder folder;
  test::write_content(folder / "text.h5", "this is no HDF5");
  for (const char* name : {"missing.h5", "text.h5"}) {
    const std::string message = message_of<DataError>([&] { read_checkpoint(folder / name); });
    EXPECT_NE(message.find(name), std::string::npos) << message;
  }
  EXPECT_THROW(read_checkpoint(folder.path()), DataError);
}

TEST(RunRecord, ComparisonNamesEveryDifference) {
  const RunRecord saved{{"batch", "128"}, {"isa", "avx2"}, {"precision", "fp32"}};
  const RunRecord current{{"batch", "128"}, {"order", "full-v1"}, {"precision", "bf16"}};
  EXPECT_TRUE(compare_run_records(saved, saved).empty());
  const std::vector<std::string> expected{"isa: the checkpoint has \"avx2\", this run has no such entry",
                                          "precision: the checkpoint has \"fp32\", this run \"bf16\"",
                                          "order: the checkpoint has no such entry, this run has \"full-v1\""};
  EXPECT_EQ(compare_run_records(saved, current), expected);
}

}  // namespace
}  // namespace convoy
