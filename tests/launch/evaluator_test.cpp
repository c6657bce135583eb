// Means over many images of a picture, beside each of them evaluated by itself.
#include "launch/train/evaluator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>

#include "core/random/philox.h"
#include "io/dataset_fixture.h"
#include "support/on_ranks.h"

namespace convoy {
namespace {

constexpr std::int64_t kSize = 28, kClasses = 10, kPictures = 11;

Task task_of(const Shape& image, std::int64_t micro_batch) {
  Task task;
  task.model = "lenet-5";
  task.classes = kClasses;
  task.micro_batch = micro_batch;
  task.image = image;
  task.prepare.mean = {120, 120, 120};
  task.prepare.deviation = {70, 70, 70};
  return task;
}

/// Weights large enough that images differ in their probabilities.
ModelState state_of(const Task& task, std::uint64_t seed) {
  ModelState state = state_for_inference(build_evaluation_graph(task).graph, 1);
  for (auto& [name, tensor] : state.parameters) {
    const RandomKey key = RandomKey(seed, "test").child(name_key(name));
    std::uint64_t element = 0;
    for (float& value : tensor.values<float>()) value = static_cast<float>(0.12 * key.normal(element++));
  }
  return state;
}

/// Images in memory, all of size x size.
class Images : public Dataset {
 public:
  explicit Images(const DatasetInfo& like) : info_(like) {
    info_.sample = info_.stored = Shape{kSize, kSize, like.stored[2]};
    info_.has_views = false;
    info_.samples = 0;
  }
  void add(const std::byte* image, std::int32_t label) {
    images_.emplace_back(image, image + info_.sample.elements());
    labels_.push_back(label);
    info_.samples = static_cast<std::int64_t>(labels_.size());
  }
  const DatasetInfo& info() const override { return info_; }
  std::size_t image_bytes() const override { return static_cast<std::size_t>(info_.sample.elements()); }
  void read(std::int64_t index, std::byte* image, std::int32_t* label) const override {
    const auto& found = images_.at(static_cast<std::size_t>(index));
    std::memcpy(image, found.data(), found.size());
    *label = labels_.at(static_cast<std::size_t>(index));
  }
  void read_view(std::int64_t, const ChooseView&, std::byte*, std::int32_t*) const override { throw Error("no views"); }
  void read_stored(std::int64_t, std::vector<std::byte>&, std::int32_t*) const override { throw Error("no files"); }
  std::int32_t label(std::int64_t index) const override { return labels_.at(static_cast<std::size_t>(index)); }
  std::int64_t id(std::int64_t index) const override { return index; }
  std::string where(std::int64_t index) const override { return std::to_string(index); }

 private:
  DatasetInfo info_;
  std::vector<std::vector<std::byte>> images_;
  std::vector<std::int32_t> labels_;
};

std::vector<std::byte> mirrored(const std::byte* image, std::int64_t channels) {
  std::vector<std::byte> turned(static_cast<std::size_t>(kSize * kSize * channels));
  for (std::int64_t y = 0; y < kSize; ++y)
    for (std::int64_t x = 0; x < kSize; ++x)
      std::memcpy(turned.data() + (y * kSize + x) * channels, image + (y * kSize + kSize - 1 - x) * channels, static_cast<std::size_t>(channels));
  return turned;
}

/// Every image that `crops` makes, and its mirror image, each a sample.
Images single_images(const Dataset& pictures, const PictureCrops& crops) {
  const auto cropped = make_cropped_dataset(pictures, crops);
  Images singles(pictures.info());
  std::vector<std::byte> images(cropped->image_bytes());
  std::int32_t label = 0;
  for (std::int64_t i = 0; i < pictures.info().samples; ++i) {
    cropped->read(i, images.data(), &label);
    for (std::int64_t k = 0; k < images_of(crops); ++k) {
      const std::byte* image = images.data() + static_cast<std::size_t>(k) * singles.image_bytes();
      singles.add(image, label);
      singles.add(mirrored(image, pictures.info().stored[2]).data(), label);
    }
  }
  return singles;
}

EvaluationResult evaluated(const Dataset& dataset, const std::vector<Task>& tasks, std::vector<ModelState>& states, EvaluatorOptions options,
                           int ranks = 1) {
  std::vector<EvaluationResult> results(static_cast<std::size_t>(ranks));
  options.keep_samples = true;
  on_ranks(ranks, [&](Communicator& world) {
    const auto backend = make_cpu_backend();
    std::vector<std::unique_ptr<StateMemory>> memories;
    std::vector<EvaluatedModel> models;
    for (std::size_t m = 0; m < tasks.size(); ++m) {
      memories.push_back(std::make_unique<StateMemory>(states[m], backend->device()));
      models.push_back({&tasks[m], memories.back().get()});
    }
    results[static_cast<std::size_t>(world.rank())] = Evaluator(models, *backend, options).run(dataset, world);
  });
  return results.front();
}

/// Pictures of 40 x 61, and views of them of 28 x 28 out of a shorter side of 35.
class ManyImages : public testing::Test {
 protected:
  ManyImages() {
    make_split(folder_.path(), Split::train, kPictures, 2, Shape{40, 61, 3});
    pictures_ = open_dataset(at(folder_.path()));
    DatasetOptions viewed = at(folder_.path());
    viewed.size[0] = viewed.size[1] = kSize;
    viewed.resize_short = 35;
    views_ = open_dataset(viewed);
  }
  TemporaryFolder folder_;
  std::unique_ptr<Dataset> pictures_, views_;
};

void expect_mean_of_single_images(const Dataset& pictures, Crops crops, std::int64_t resize_short, std::int64_t micro_batch) {
  std::vector<Task> tasks{task_of(pictures.info().sample, micro_batch)};
  if (!pictures.info().has_views) tasks.front().prepare.size = {kSize, kSize, 0};
  std::vector<ModelState> states;
  states.push_back(state_of(tasks.front(), 7));
  const auto cuts = picture_crops_of(crops, tasks.front(), pictures.info(), resize_short);
  ASSERT_TRUE(cuts.has_value());
  const EvaluationResult many = evaluated(pictures, tasks, states, {.crops = crops, .cuts = cuts});
  const Images singles = single_images(pictures, *cuts);
  const EvaluationResult each = evaluated(singles, {task_of(singles.info().sample, 9)}, states, {});
  const std::int64_t views = 2 * images_of(*cuts);
  ASSERT_EQ(static_cast<std::int64_t>(each.each.size()), views * kPictures);
  ASSERT_EQ(static_cast<std::int64_t>(many.each.size()), kPictures);
  double loss = 0, least = 1, most = 0;
  for (std::size_t i = 0; i < many.each.size(); ++i) {
    double sum = 0;
    for (std::size_t k = 0; k < static_cast<std::size_t>(views); ++k) {
      const double p = std::exp(-static_cast<double>(each.each[i * static_cast<std::size_t>(views) + k].loss));
      least = std::min(least, p);
      most = std::max(most, p);
      sum += p;
    }
    EXPECT_EQ(many.each[i].index, static_cast<std::int64_t>(i));
    EXPECT_NEAR(std::exp(-static_cast<double>(many.each[i].loss)), sum / static_cast<double>(views), 1e-6) << "picture " << i;
    loss -= std::log(sum / static_cast<double>(views));
  }
  EXPECT_NEAR(many.loss, loss / kPictures, 1e-5);
  EXPECT_GT(most - least, 0.01) << "the images are alike: this test says nothing";
}

TEST_F(ManyImages, OfSquaresAreAveragedPlainly) {
  for (const std::int64_t micro_batch : {1, 8, 20, 150}) expect_mean_of_single_images(*pictures_, Crops::squares, 0, micro_batch);
  expect_mean_of_single_images(*views_, Crops::squares, 0, 8);
}

TEST_F(ManyImages, OfCornersAreAveragedPlainly) {
  for (const std::int64_t micro_batch : {1, 4, 12}) expect_mean_of_single_images(*views_, Crops::ten, 35, micro_batch);
}

TEST_F(ManyImages, GiveTheSameBitsOnAnyRanksAndThreads) {
  const std::vector<Task> tasks{task_of(views_->info().sample, 4), task_of(views_->info().sample, 2)};
  std::vector<ModelState> states;
  for (std::uint64_t seed : {7, 8}) states.push_back(state_of(tasks.front(), seed));
  for (const Crops crops : {Crops::ten, Crops::squares}) {
    const EvaluatorOptions options{.crops = crops, .cuts = picture_crops_of(crops, tasks.front(), views_->info(), 35)};
    const EvaluationResult alone = evaluated(*views_, tasks, states, options);
    ASSERT_EQ(alone.models.size(), 2U);
    EXPECT_NE(alone.models[0].loss, alone.models[1].loss);
    for (int ranks = 1; ranks <= 4; ++ranks) {
      EvaluatorOptions more = options;
      more.threads = more.loader_threads = 1 + ranks % 3;
      const EvaluationResult together = evaluated(*views_, tasks, states, more, ranks);
      EXPECT_EQ(together.samples, kPictures);
      EXPECT_EQ(together.loss, alone.loss) << ranks;
      for (std::size_t m = 0; m < 2; ++m) EXPECT_EQ(together.models[m].loss, alone.models[m].loss) << ranks;
      for (std::size_t i = 0; i < alone.each.size(); ++i) {
        EXPECT_EQ(together.each[i].loss, alone.each[i].loss);
        EXPECT_EQ(together.each[i].predicted, alone.each[i].predicted);
      }
    }
  }
}

TEST_F(ManyImages, TellHowFarTheyAre) {
  std::vector<Task> tasks{task_of(views_->info().sample, 4)};
  std::vector<ModelState> states;
  states.push_back(state_of(tasks.front(), 7));
  std::vector<std::int64_t> done;
  const EvaluatorOptions options{.threads = 2, .crops = Crops::squares, .cuts = picture_crops_of(Crops::squares, tasks.front(), views_->info(), 0),
                                 .progress = [&](std::int64_t now, std::int64_t share) {
                                   EXPECT_EQ(share, kPictures);
                                   done.push_back(now);
                                 }};
  evaluated(*views_, tasks, states, options);
  ASSERT_EQ(done.size(), static_cast<std::size_t>(kPictures)) << "72 images of a picture are more than a block's 4 rows";
  for (std::size_t i = 0; i < done.size(); ++i) EXPECT_EQ(done[i], static_cast<std::int64_t>(i) + 1);
}

TEST(EvaluationUnit, HoldsNoMoreThanABlockOrTheImagesOfOneSample) {
  const auto unit = [](std::int64_t block, std::int64_t images) {
    const EvaluationUnit made = unit_of(block, images);
    return std::pair{made.samples, made.rows};
  };
  EXPECT_EQ(unit(32, 1), (std::pair<std::int64_t, std::int64_t>{32, 32}));
  EXPECT_EQ(unit(32, 72), (std::pair<std::int64_t, std::int64_t>{1, 24}));
  EXPECT_EQ(unit(128, 72), (std::pair<std::int64_t, std::int64_t>{1, 72}));
  EXPECT_EQ(unit(256, 72), (std::pair<std::int64_t, std::int64_t>{2, 144}));
  EXPECT_EQ(unit(32, 5), (std::pair<std::int64_t, std::int64_t>{4, 20}));
  EXPECT_EQ(unit(1, 72), (std::pair<std::int64_t, std::int64_t>{1, 1}));
}

}  // namespace
}  // namespace convoy
