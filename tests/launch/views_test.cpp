#include "launch/train/views.h"

#include <gtest/gtest.h>

#include <set>

#include "core/tensor/error.h"
#include "core/tensor/tensor.h"

namespace convoy {
namespace {

Task task_of(const Shape& image, const PerAxis& crop) {
  Task task;
  task.image = image;
  task.prepare.size = crop;
  return task;
}

std::vector<std::int32_t> row_of(const View& view, const Task& task) {
  std::vector<std::int32_t> row(4, -99);
  write_transforms(view, task, row);
  return row;
}

TEST(Views, AreTheCornersTheMiddleAndTheirMirrorImages) {
  const Task task = task_of({32, 40, 3}, {24, 24, 0});
  std::vector<std::vector<std::int32_t>> rows;
  for (const View& view : views_of(Crops::ten, task)) rows.push_back(row_of(view, task));
  const std::vector<std::vector<std::int32_t>> upright{{4, 8, 0, 0}, {0, 0, 0, 0}, {0, 16, 0, 0}, {8, 0, 0, 0}, {8, 16, 0, 0}};
  ASSERT_EQ(rows.size(), 10U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(rows[i], upright[i]);
    auto mirrored = upright[i];
    mirrored[3] = 2;
    EXPECT_EQ(rows[i + 5], mirrored);
  }
}

TEST(Views, TakeTheMiddleRoundedDownAlsoOfImagesSmallerThanTheCrop) {
  EXPECT_EQ(row_of(View{}, task_of({29, 28, 1}, {24, 24, 0})), (std::vector<std::int32_t>{2, 2, 0, 0}));
  EXPECT_EQ(row_of(View{}, task_of({28, 28, 1}, {31, 32, 0})), (std::vector<std::int32_t>{-2, -2, 0, 0}));
  EXPECT_EQ(row_of(View{}, task_of({5, 6, 7, 1}, {0, 4, 4})), (std::vector<std::int32_t>{0, 1, 1, 0}));
}

TEST(Views, FillEveryRowOfTheBatch) {
  const Task task = task_of({8, 8, 1}, {4, 4, 0});
  std::vector<std::int32_t> rows(12, -99);
  write_transforms({{0, 1, 0}, true}, task, rows);
  EXPECT_EQ(rows, (std::vector<std::int32_t>{0, 4, 0, 2, 0, 4, 0, 2, 0, 4, 0, 2}));
}

TEST(Views, AreRefusedWhereTheImageHasNoTenCrops) {
  EXPECT_THROW(views_of(Crops::ten, task_of({28, 28, 1}, {})), UsageError);
  EXPECT_THROW(views_of(Crops::ten, task_of({16, 28, 28, 1}, {8, 8, 8})), UsageError);
  EXPECT_EQ(views_of(Crops::dense, task_of({28, 28, 1}, {})).size(), 2U);
  EXPECT_EQ(views_of(Crops::one, task_of({28, 28, 1}, {})).size(), 1U);
}

}  // namespace
}  // namespace convoy
