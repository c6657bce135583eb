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

DatasetInfo pictures(bool has_views) {
  DatasetInfo info;
  info.stored = has_views ? Shape{0, 0, 3} : Shape{40, 50, 3};
  info.has_views = has_views;
  if (has_views) info.encoding = "jpeg";
  return info;
}

TEST(Views, OfPicturesAreMadeByIoWhereTheSampleDoesNotHoldThem) {
  const Task cropped = task_of({32, 32, 3}, {28, 28, 0}), whole = task_of({32, 32, 3}, {});
  EXPECT_FALSE(picture_crops_of(Crops::one, whole, pictures(true), 40));
  EXPECT_FALSE(picture_crops_of(Crops::dense, whole, pictures(true), 40));
  EXPECT_FALSE(picture_crops_of(Crops::ten, cropped, pictures(true), 0)) << "crops of the sample, as of the central square";
  EXPECT_FALSE(picture_crops_of(Crops::ten, cropped, pictures(false), 0));
  const auto ten = picture_crops_of(Crops::ten, whole, pictures(true), 40);
  ASSERT_TRUE(ten);
  EXPECT_EQ(ten->plan, PictureCrops::Plan::corners);
  EXPECT_EQ(ten->size[0], 32);
  EXPECT_EQ(ten->resize_short, 40);
  EXPECT_EQ(picture_crops_of(Crops::ten, cropped, pictures(true), 32)->size[1], 28);
  for (const bool has_views : {false, true}) {
    const auto squares = picture_crops_of(Crops::squares, cropped, pictures(has_views), 0);
    ASSERT_TRUE(squares);
    EXPECT_EQ(squares->plan, PictureCrops::Plan::squares);
    EXPECT_EQ(squares->size[0], 28);
  }
  EXPECT_EQ(views_of_crops().size(), 2U);
}

TEST(Views, OfPicturesAreRefusedWhereThereAreNone) {
  EXPECT_THROW(picture_crops_of(Crops::squares, task_of({8, 28, 28, 1}, {}), pictures(false), 0), UsageError);
  EXPECT_THROW(picture_crops_of(Crops::squares, task_of({28, 32, 3}, {}), pictures(false), 0), UsageError);
  EXPECT_THROW(picture_crops_of(Crops::ten, task_of({32, 32, 3}, {}), pictures(true), 32), UsageError);
}

}  // namespace
}  // namespace convoy
