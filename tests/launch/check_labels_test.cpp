#include "launch/train/check_labels.h"

#include <gtest/gtest.h>

#include "core/tensor/error.h"

namespace convoy {
namespace {

MicroBatch labelled(std::vector<std::int32_t> labels) {
  MicroBatch batch;
  batch.labels = Tensor({static_cast<std::int64_t>(labels.size())}, DType::i32);
  for (std::size_t row = 0; row < labels.size(); ++row) {
    batch.labels.values<std::int32_t>()[row] = labels[row];
    batch.indices.push_back(100 + static_cast<std::int64_t>(row));
  }
  return batch;
}

TEST(CheckLabels, AllowsEveryClass) { EXPECT_NO_THROW(check_labels(labelled({0, 9, 5}), 10)); }

TEST(CheckLabels, NamesTheFirstSampleWhoseLabelIsNoClass) {
  for (const std::int32_t bad : {-1, 10}) {
    try {
      check_labels(labelled({0, 3, bad, 77}), 10);
      FAIL() << "it did not throw";
    } catch (const DataError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("sample 102 of the split: label " + std::to_string(bad)), std::string::npos) << text;
      EXPECT_NE(text.find("10 classes"), std::string::npos) << text;
    }
  }
}

}  // namespace
}  // namespace convoy
