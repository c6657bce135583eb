#include "launch/train/evaluator.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>

#include "core/graph/program.h"
#include "core/metrics/top_k.h"
#include "core/metrics/tree_sum.h"
#include "distributed/reduction.h"
#include "io/loader.h"
#include "launch/train/check_labels.h"
#include "launch/train/engine_parts.h"
#include "launch/train/thread_team.h"

namespace convoy {
namespace {

/// Sums over a unit or block: loss, top-1 and top-5 of all models together, then of each, then (growing) of the first 1, 2, ...
constexpr std::size_t kScores = 3;

std::int64_t largest_divisor(std::int64_t number, std::int64_t limit) {
  std::int64_t divisor = std::clamp<std::int64_t>(limit, 1, number);
  while (number % divisor != 0) --divisor;
  return divisor;
}

/// Rows of `columns` sums for every unit -> for every block of `per_block` units, added in their order.
std::vector<double> sums_of_blocks(const std::vector<double>& units, std::int64_t per_block, std::size_t columns) {
  const std::size_t row = static_cast<std::size_t>(per_block) * columns;
  std::vector<double> blocks((units.size() + row - 1) / row * columns);
  for (std::size_t i = 0; i < units.size(); ++i) blocks[i / row * columns + i % columns] += units[i];
  return blocks;
}

/// What every rank found, in the order of the ranks, which is the order of the blocks.
template <typename T>
std::vector<T> gather(const std::vector<T>& mine, Communicator& world) {
  const std::string bytes(reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(T));
  std::vector<T> all;
  for (const std::string& part : world.all_gather_strings(bytes)) {
    const std::size_t old = all.size();
    all.resize(old + part.size() / sizeof(T));
    if (!part.empty()) std::memcpy(all.data() + old, part.data(), part.size());
  }
  return all;
}

/// The mean of class probabilities, and the loss that goes with it.
class Mean {
 public:
  Mean(std::int64_t rows, std::int64_t classes)
      : classes_(static_cast<std::size_t>(classes)), sums_(static_cast<std::size_t>(rows) * classes_),
        means_(sums_.size()) {}
  void begin() { std::ranges::fill(sums_, 0.0); }
  /// Of the images [first, last), of which a row has `images`; the probabilities of `first` come first.
  template <typename T>
  void add(const T* probabilities, std::int64_t first, std::int64_t last, std::int64_t images) {
    for (std::int64_t image = first; image < last; ++image) {
      double* sums = sums_.data() + static_cast<std::size_t>(image / images) * classes_;
      for (std::size_t c = 0; c < classes_; ++c) sums[c] += static_cast<double>(*probabilities++);
    }
  }
  void finish(std::int64_t terms) {
    for (std::size_t i = 0; i < sums_.size(); ++i) means_[i] = static_cast<float>(sums_[i] /= static_cast<double>(terms));
  }
  const double* exact() const { return sums_.data(); }
  std::span<const float> row(std::size_t row) const { return {means_.data() + row * classes_, classes_}; }
  float loss(std::size_t row, std::int32_t label) const {
    const double p = sums_[row * classes_ + static_cast<std::size_t>(label)];
    return static_cast<float>(-std::log(std::max(p, std::numeric_limits<double>::min())));
  }

 private:
  std::size_t classes_;
  std::vector<double> sums_;
  std::vector<float> means_;
};

}  // namespace

struct Evaluator::Lane {
  struct Model {
    std::unique_ptr<Program> program;
    std::unique_ptr<ProgramIo> io;
    Mean mean;                       // over the views
    std::vector<float> losses;
  };
  std::vector<Model> models;
  Mean all, first;                   // over the models, over the first of them
  std::vector<float> losses, first_losses;
  Lane(std::int64_t rows, std::int64_t classes)
      : all(rows, classes), first(rows, classes), losses(static_cast<std::size_t>(rows)), first_losses(losses.size()) {}
};

EvaluationUnit unit_of(std::int64_t block, std::int64_t images) {
  const std::int64_t samples = largest_divisor(block, block / images);
  return {samples, largest_divisor(samples * images, block)};
}

Evaluator::~Evaluator() = default;

Evaluator::Evaluator(const std::vector<EvaluatedModel>& models, const Backend& backend, const EvaluatorOptions& options)
    : options_(options), block_(models.front().task->micro_batch), classes_(models.front().task->classes),
      images_(options.cuts ? images_of(*options.cuts) : 1), unit_(unit_of(block_, images_)) {
  options_.augment.flip = false;
  for (const EvaluatedModel& model : models) members_.push_back(make_member(*model.task));
  for (int thread = 0; thread < options.threads; ++thread) {
    lanes_.push_back(std::make_unique<Lane>(unit_.samples, classes_));
    for (std::size_t m = 0; m < members_.size(); ++m) {
      const EvaluationGraph& graph = members_[m].graph;
      const std::vector<Value> outputs{graph.probabilities, graph.sample_loss};
      auto program = std::make_unique<Program>(graph.graph, backend, ProgramOptions{.keep = outputs});
      bind_state(*program, *models[m].memory);
      const TaskInputs& in = graph.inputs;
      auto io = std::make_unique<ProgramIo>(*program, backend.device(),
                                            std::vector<Value>{in.images, in.transforms, in.labels, in.weights}, outputs);
      lanes_.back()->models.push_back({std::move(program), std::move(io), Mean(unit_.samples, classes_),
                                       std::vector<float>(static_cast<std::size_t>(unit_.samples))});
    }
  }
}

Evaluator::Member Evaluator::make_member(Task task) const {
  task.micro_batch = unit_.rows;
  if (options_.cuts) {
    task.image = Shape{options_.cuts->size[0], options_.cuts->size[1], task.image[-1]};
    task.prepare.size = {};
  }
  const bool dense = options_.crops == Crops::dense;
  Member member{dense ? build_dense_evaluation_graph(task) : build_evaluation_graph(task), {}, {}, {}, 0};
  if (dense) task.prepare.size = {};
  for (const View& view : options_.cuts ? views_of_crops() : views_of(options_.crops, task)) {
    member.transforms.emplace_back(Shape{unit_.rows, 4}, DType::i32);
    write_transforms(view, task, member.transforms.back().values<std::int32_t>());
  }
  member.no_labels = Tensor(Shape{unit_.rows}, DType::i32);
  member.no_weights = Tensor(Shape{unit_.rows}, DType::f32);
  member.image_bytes = static_cast<std::size_t>(task.image.elements()) * size_of(task.stored);
  return member;
}

std::size_t Evaluator::memory_bytes() const {
  std::size_t bytes = 0;
  for (const auto& lane : lanes_)
    for (const Lane::Model& model : lane->models) bytes += model.program->arena_bytes() + model.program->scratch_bytes();
  return bytes;
}

/// One evaluation on one rank: the units [first, last).
struct Evaluator::Run {
  const Evaluator& evaluator;
  Loader& loader;
  int first;
  std::chrono::milliseconds deadline;
  std::vector<double> sums = {};       // per unit: samples, then kScores for all models, for each, and for the first ones
  std::vector<SampleResult> results = {};
  std::mutex mutex = {};               // guards done
  std::int64_t share = 0, done = 0;    // samples of this rank

  std::size_t columns() const { return 1 + kScores * (1 + (evaluator.options_.growing ? 2 : 1) * evaluator.members_.size()); }

  /// The model's probabilities and losses of the unit. What a single view gives is kept as computed.
  void compute(const Member& member, Lane::Model& model, const MicroBatch& batch) const {
    const TaskInputs& in = member.graph.inputs;
    const bool single = member.transforms.size() == 1;
    const std::int64_t images = evaluator.images_, all = evaluator.unit_.samples * images, rows = evaluator.unit_.rows;
    model.io->put(in.labels, (single ? batch.labels : member.no_labels).bytes());
    model.io->put(in.weights, (single ? batch.weights : member.no_weights).bytes());
    model.mean.begin();
    for (std::int64_t image = 0; image < all; image += rows) {
      model.io->put(in.images, batch.images.bytes() + static_cast<std::size_t>(image) * member.image_bytes);
      for (const Tensor& transforms : member.transforms) {
        model.io->put(in.transforms, transforms.bytes());
        model.io->run(deadline);
        model.mean.add(model.io->get<float>(member.graph.probabilities), image, image + rows, images);
      }
    }
    model.mean.finish(images * static_cast<std::int64_t>(member.transforms.size()));
    if (single)
      std::copy_n(model.io->get<float>(member.graph.sample_loss), rows, model.losses.data());
    else
      take_losses(model.mean, batch, model.losses);
  }

  static void take_losses(const Mean& mean, const MicroBatch& batch, std::vector<float>& losses) {
    const auto labels = batch.labels.values<std::int32_t>();
    for (std::size_t r = 0; r < losses.size(); ++r) losses[r] = mean.loss(r, labels[r]);
  }

  void add(const Mean& mean, const std::vector<float>& losses, const MicroBatch& batch, double* scores) const {
    const auto labels = batch.labels.values<std::int32_t>();
    for (std::size_t r = 0; r < losses.size(); ++r) {
      if (batch.indices[r] < 0) continue;  // padding
      scores[0] += static_cast<double>(losses[r]);
      scores[1] += in_top_k(mean.row(r), labels[r], 1) ? 1 : 0;
      scores[2] += in_top_k(mean.row(r), labels[r], 5) ? 1 : 0;
    }
  }

  void operator()(Lane& lane, int number) {
    const std::shared_ptr<MicroBatch> batch = loader.next(number, 0);
    check_labels(*batch, evaluator.classes_);
    const std::vector<Member>& members = evaluator.members_;
    const std::int64_t samples = std::ranges::count_if(batch->indices, [](std::int64_t index) { return index >= 0; });
    double* row = sums.data() + static_cast<std::size_t>(number - first) * columns();
    row[0] += static_cast<double>(samples);
    lane.all.begin();
    for (std::size_t m = 0; m < members.size(); ++m) {
      Lane::Model& model = lane.models[m];
      compute(members[m], model, *batch);
      add(model.mean, model.losses, *batch, row + 1 + kScores * (1 + m));
      lane.all.add(model.mean.exact(), 0, evaluator.unit_.samples, 1);
      if (evaluator.options_.growing) add_first(lane, m, *batch, row + 1 + kScores * (1 + members.size() + m));
    }
    lane.all.finish(static_cast<std::int64_t>(members.size()));
    if (members.size() == 1)
      lane.losses = lane.models.front().losses;
    else
      take_losses(lane.all, *batch, lane.losses);
    add(lane.all, lane.losses, *batch, row + 1);
    if (evaluator.options_.keep_samples) keep_samples(lane, *batch, number);
    tell(samples);
  }

  /// The mean of the models up to `last`, whose sum `lane.all` is by now.
  void add_first(Lane& lane, std::size_t last, const MicroBatch& batch, double* scores) const {
    if (last == 0) return add(lane.models.front().mean, lane.models.front().losses, batch, scores);
    lane.first.begin();
    lane.first.add(lane.all.exact(), 0, evaluator.unit_.samples, 1);
    lane.first.finish(static_cast<std::int64_t>(last) + 1);
    take_losses(lane.first, batch, lane.first_losses);
    add(lane.first, lane.first_losses, batch, scores);
  }

  void tell(std::int64_t samples) {
    if (!evaluator.options_.progress) return;
    const std::lock_guard lock(mutex);
    evaluator.options_.progress(done += samples, share);
  }

  void keep_samples(const Lane& lane, const MicroBatch& batch, int number) {
    const auto labels = batch.labels.values<std::int32_t>();
    for (std::size_t r = 0; r < lane.losses.size(); ++r) {
      const std::span<const float> scores = lane.all.row(r);
      SampleResult result{batch.indices[r], labels[r], 0, 0, lane.losses[r]};
      result.predicted = static_cast<std::int32_t>(std::ranges::max_element(scores) - scores.begin());
      result.probability = scores[static_cast<std::size_t>(result.predicted)];
      results[static_cast<std::size_t>((number - first) * evaluator.unit_.samples) + r] = result;
    }
  }
};

EvaluationResult Evaluator::run(const Dataset& dataset, Communicator& world) {
  const std::unique_ptr<Dataset> cropped = options_.cuts ? make_cropped_dataset(dataset, *options_.cuts) : nullptr;
  const std::int64_t samples = dataset.info().samples, at_once = unit_.samples;
  const std::int64_t units = (samples + at_once - 1) / at_once;
  const auto [share_begin, share_end] = share_of(world.rank(), world.size(), 0, static_cast<int>(units));
  const int first = share_begin, last = share_end;  // clang 14 captures no structured bindings
  const auto loader = make_evaluation_loader(cropped ? *cropped : dataset, at_once, first, last,
                                             cropped ? AugmentOptions{} : options_.augment,
                                             {.threads = options_.loader_threads, .depth = options_.threads + 1});
  Run part{.evaluator = *this, .loader = *loader, .first = first, .deadline = world.deadline()};
  part.share = std::max<std::int64_t>(std::min(last * at_once, samples) - first * at_once, 0);
  const auto mine = static_cast<std::size_t>(last - first);
  part.sums.resize(mine * part.columns());
  part.results.resize(options_.keep_samples ? mine * static_cast<std::size_t>(at_once) : 0);
  ThreadTeam team(static_cast<int>(lanes_.size()));
  std::atomic<int> next_unit{first};  // units are taken in the loader's order; who takes one changes nothing
  team.run([&](int thread) {
    for (int unit = next_unit++; unit < last; unit = next_unit++) part(*lanes_[static_cast<std::size_t>(thread)], unit);
  });
  world.at("evaluation sums", 0);
  const std::vector<double> all = sums_of_blocks(gather(part.sums, world), block_ / at_once, part.columns());
  std::vector<double> totals;
  for (std::size_t c = 0; c < part.columns(); ++c) {
    std::vector<double> column;
    for (std::size_t i = c; i < all.size(); i += part.columns()) column.push_back(all[i]);
    totals.push_back(tree_sum(column));
  }
  EvaluationResult result;
  result.samples = static_cast<std::int64_t>(totals[0]);
  const auto mean = [&](std::size_t c) { return totals[0] > 0 ? totals[c] / totals[0] : 0; };
  const auto scores = [&](std::size_t n) { return Scores{mean(1 + kScores * n), mean(2 + kScores * n), mean(3 + kScores * n)}; };
  static_cast<Scores&>(result) = scores(0);
  for (std::size_t m = 1; m <= members_.size(); ++m) result.models.push_back(scores(m));
  for (std::size_t m = 1; options_.growing && m <= members_.size(); ++m) result.first.push_back(scores(members_.size() + m));
  if (options_.keep_samples) {
    result.each = gather(part.results, world);
    std::erase_if(result.each, [](const SampleResult& sample) { return sample.index < 0; });
  }
  return result;
}

}  // namespace convoy
