// What `convoy checkpoint diff` finds.
#include "io/checkpoint_diff.h"

#include <limits>

#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "io/checkpoint_samples.h"

namespace convoy {
namespace {

using test::ScratchFolder;

#define EXPECT_MENTIONS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

Checkpoint small_checkpoint() {
  Checkpoint checkpoint = test::sample_checkpoint();
  checkpoint.config = "[train]\nepochs = 5\nbatch = 64\n\n[optim]\nrate = 0.1\n";
  return checkpoint;
}

/// The difference between the sample and a changed copy of it.
CheckpointDifference after(const std::function<void(Checkpoint&)>& change) {
  const ScratchFolder folder;
  Checkpoint checkpoint = small_checkpoint();
  write_checkpoint(folder / "a.h5", checkpoint);
  change(checkpoint);
  write_checkpoint(folder / "b.h5", checkpoint);
  return diff_checkpoints(folder / "a.h5", folder / "b.h5");
}

Tensor floats(std::vector<float> values) {
  Tensor tensor(Shape{static_cast<std::int64_t>(values.size())}, DType::f32);
  std::copy(values.begin(), values.end(), tensor.values<float>().begin());
  return tensor;
}

std::string last_line(const std::string& text) {
  return text.substr(text.rfind('\n', text.size() - 2) + 1);
}

TEST(CheckpointDiff, OfTheSameContentIsEmptyWhateverTheTensorsHold) {
  const CheckpointDifference difference = after([](Checkpoint&) {});
  EXPECT_TRUE(difference.same());
  EXPECT_TRUE(difference.tensors.empty());
  EXPECT_EQ(difference.tensors_compared, 13);
  EXPECT_EQ(last_line(to_text(difference)), "same " + digest_of(small_checkpoint()) + "\n");
}

TEST(CheckpointDiff, NamesStateThatDiffers) {
  const CheckpointDifference difference = after([](Checkpoint& c) {
    c.updates += 1;
    c.ledgers.pop_back();
    c.best.reset();
    c.skipped_steps.push_back(99);
  });
  EXPECT_FALSE(difference.same());
  const std::string text = to_text(difference);
  EXPECT_MENTIONS(text, "updates\n    A: 11998\n    B: 11999\n");
  EXPECT_MENTIONS(text, "ledger 1\n    A: epoch 4: 28 samples, sum 12, xor 5\n    B: (absent)\n");
  EXPECT_MENTIONS(text, "B: none yet");
  EXPECT_MENTIONS(text, "skipped step 2\n    A: (absent)\n    B: 99\n");
  EXPECT_EQ(last_line(text), "different " + difference.digest_a + " " + difference.digest_b + "\n");
}

TEST(CheckpointDiff, TellsWhatIsNoPartOfTheDigestButCallsThemTheSame) {
  const CheckpointDifference difference = after([](Checkpoint& c) {
    c.world_size = 4;
    c.config = "[train]\nepochs = 6\nbatch = 64\n\n[optim]\nrate = 0.1\nepochs = 5\n";
  });
  EXPECT_TRUE(difference.same());
  EXPECT_EQ(difference.config_a, std::vector<std::string>{"[train] epochs = 5"});
  EXPECT_EQ(difference.config_b, (std::vector<std::string>{"[train] epochs = 6", "[optim] epochs = 5"}));
  EXPECT_MENTIONS(to_text(difference), "world size\n    A: 3\n    B: 4\n");
}

TEST(CheckpointDiff, NamesRunRecordEntries) {
  const CheckpointDifference difference = after([](Checkpoint& c) {
    c.run_record["batch"] = "256";
    c.run_record.erase("empty");
  });
  ASSERT_EQ(difference.run_record.size(), 2u);
  EXPECT_MENTIONS(to_text(difference), "batch\n    A: 128\n    B: 256\n");
  EXPECT_MENTIONS(to_text(difference), "empty\n    A: \n    B: (absent)\n");
}

TEST(CheckpointDiff, NamesTensorsThatAreMissingOrOfAnotherKind) {
  const std::string text = to_text(after([](Checkpoint& c) {
    c.parameters.erase("scalar");
    c.parameters["new"] = floats({1});
    c.parameters["conv1/bias"] = test::random_tensor({2, 3}, DType::f32, 1);
  }));
  EXPECT_MENTIONS(text, "parameters/scalar: only in A, float64 []\n");
  EXPECT_MENTIONS(text, "parameters/new: only in B, float32 [1]\n");
  EXPECT_MENTIONS(text, "parameters/conv1/bias: A float32 [6], B float32 [2, 3]\n");
  EXPECT_MENTIONS(text, "tensors: 3 of 14 differ");
}

TEST(CheckpointDiff, MeasuresHowTensorsDiffer) {
  const TensorDifference difference = diff_tensors("t", floats({1, 2, 4, 8}), floats({1, 2.5F, 4, 7}));
  EXPECT_EQ(difference.elements, 4);
  EXPECT_EQ(difference.differing, 2);
  EXPECT_EQ(difference.first_index, "[1]");
  EXPECT_EQ(difference.first_a, "2");
  EXPECT_EQ(difference.first_b, "2.5");
  EXPECT_EQ(difference.largest_absolute, 1);
  EXPECT_EQ(difference.largest_relative, 0.2);
}

TEST(CheckpointDiff, CountsNumbersThatAreNoneApart) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();
  const TensorDifference difference =
      diff_tensors("t", floats({kNaN, kNaN, 1, 0.0F, kInfinity}), floats({kNaN, 3, 1, -0.0F, 5}));
  EXPECT_EQ(difference.differing, 3);
  EXPECT_EQ(difference.not_numbers, 2);
  EXPECT_EQ(difference.largest_absolute, 0) << "0 and -0";
  EXPECT_EQ(difference.first_index, "[1]");
}

TEST(CheckpointDiff, IsMachineReadable) {
  const auto json = nlohmann::json::parse(to_json(after([](Checkpoint& c) {
    c.parameters["conv1/bias"].values<float>()[4] = 0;
    c.state.erase("bn1/mean");
  })));
  EXPECT_FALSE(json["same"]);
  EXPECT_EQ(json["tensors"].size(), 2u);
  EXPECT_EQ(json["tensors"][0]["name"], "parameters/conv1/bias");
  EXPECT_EQ(json["tensors"][0]["differing"], 1);
  EXPECT_EQ(json["tensors"][0]["first_index"], "[4]");
  EXPECT_TRUE(json["tensors"][1]["b"].is_null());
}

TEST(CheckpointDiff, RefusesADamagedFile) {
  const ScratchFolder folder;
  write_checkpoint(folder / "a.h5", small_checkpoint());
  std::string content = test::content_of(folder / "a.h5");
  content[content.find("[train]")] = 'X';
  test::write_content(folder / "b.h5", content);
  EXPECT_MENTIONS(test::message_of<DataError>([&] { diff_checkpoints(folder / "a.h5", folder / "b.h5"); }), "/config");
}

}  // namespace
}  // namespace convoy
