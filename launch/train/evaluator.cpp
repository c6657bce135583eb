#include "launch/train/evaluator.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <limits>

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

/// Sums over a block: loss, top-1 and top-5 of all models together, then of each.
constexpr std::size_t kScores = 3;

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
  void begin() {
    std::ranges::fill(sums_, 0.0);
    terms_ = 0;
  }
  template <typename T>
  void add(const T* probabilities) {
    for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += static_cast<double>(probabilities[i]);
    ++terms_;
  }
  void finish() {
    for (std::size_t i = 0; i < sums_.size(); ++i) means_[i] = static_cast<float>(sums_[i] /= terms_);
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
  int terms_ = 0;
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
  Mean all;                          // over the models
  std::vector<float> losses;
  Lane(std::int64_t rows, std::int64_t classes) : all(rows, classes), losses(static_cast<std::size_t>(rows)) {}
};

Evaluator::~Evaluator() = default;

Evaluator::Evaluator(const std::vector<EvaluatedModel>& models, const Backend& backend, const EvaluatorOptions& options)
    : options_(options), block_(models.front().task->micro_batch), classes_(models.front().task->classes) {
  options_.augment.flip = false;
  for (const EvaluatedModel& model : models) {
    Task task = *model.task;
    task.micro_batch = block_;
    Member member{options.crops == Crops::dense ? build_dense_evaluation_graph(task) : build_evaluation_graph(task), {}};
    if (options.crops == Crops::dense) task.prepare.size = {};
    for (const View& view : views_of(options.crops, task)) {
      member.transforms.emplace_back(Shape{block_, 4}, DType::i32);
      write_transforms(view, task, member.transforms.back().values<std::int32_t>());
    }
    members_.push_back(std::move(member));
  }
  for (int thread = 0; thread < options.threads; ++thread) {
    lanes_.push_back(std::make_unique<Lane>(block_, classes_));
    for (std::size_t m = 0; m < members_.size(); ++m) {
      const EvaluationGraph& graph = members_[m].graph;
      const std::vector<Value> outputs{graph.probabilities, graph.sample_loss};
      auto program = std::make_unique<Program>(graph.graph, backend, ProgramOptions{.keep = outputs});
      bind_state(*program, *models[m].memory);
      const TaskInputs& in = graph.inputs;
      auto io = std::make_unique<ProgramIo>(*program, backend.device(),
                                            std::vector<Value>{in.images, in.transforms, in.labels, in.weights}, outputs);
      lanes_.back()->models.push_back({std::move(program), std::move(io), Mean(block_, classes_),
                                       std::vector<float>(static_cast<std::size_t>(block_))});
    }
  }
}

std::size_t Evaluator::memory_bytes() const {
  std::size_t bytes = 0;
  for (const auto& lane : lanes_)
    for (const Lane::Model& model : lane->models) bytes += model.program->arena_bytes() + model.program->scratch_bytes();
  return bytes;
}

/// One evaluation on one rank: the blocks [first, last).
struct Evaluator::Run {
  const std::vector<Member>& members;
  Loader& loader;
  int first;
  std::int64_t block, classes;
  bool keep;
  std::chrono::milliseconds deadline;
  std::vector<double> sums;            // per block: samples, then kScores for all models and for each
  std::vector<SampleResult> results;

  std::size_t columns() const { return 1 + kScores * (1 + members.size()); }

  /// The model's probabilities and losses of the block. What a single view gives is kept as computed.
  void compute(std::size_t m, Lane::Model& model, const MicroBatch& batch) const {
    const Member& member = members[m];
    const TaskInputs& in = member.graph.inputs;
    model.io->put(in.images, batch.images.bytes());
    model.io->put(in.labels, batch.labels.bytes());
    model.io->put(in.weights, batch.weights.bytes());
    model.mean.begin();
    for (const Tensor& transforms : member.transforms) {
      model.io->put(in.transforms, transforms.bytes());
      model.io->run(deadline);
      model.mean.add(model.io->get<float>(member.graph.probabilities));
    }
    model.mean.finish();
    if (member.transforms.size() == 1)
      std::copy_n(model.io->get<float>(member.graph.sample_loss), block, model.losses.data());
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
    check_labels(*batch, classes);
    double* row = sums.data() + static_cast<std::size_t>(number - first) * columns();
    row[0] += static_cast<double>(std::ranges::count_if(batch->indices, [](std::int64_t index) { return index >= 0; }));
    lane.all.begin();
    for (std::size_t m = 0; m < members.size(); ++m) {
      Lane::Model& model = lane.models[m];
      compute(m, model, *batch);
      add(model.mean, model.losses, *batch, row + 1 + kScores * (1 + m));
      lane.all.add(model.mean.exact());
    }
    lane.all.finish();
    if (members.size() == 1)
      lane.losses = lane.models.front().losses;
    else
      take_losses(lane.all, *batch, lane.losses);
    add(lane.all, lane.losses, *batch, row + 1);
    if (keep) keep_samples(lane, *batch, number);
  }

  void keep_samples(const Lane& lane, const MicroBatch& batch, int number) {
    const auto labels = batch.labels.values<std::int32_t>();
    for (std::size_t r = 0; r < lane.losses.size(); ++r) {
      const std::span<const float> scores = lane.all.row(r);
      SampleResult result{batch.indices[r], labels[r], 0, 0, lane.losses[r]};
      result.predicted = static_cast<std::int32_t>(std::ranges::max_element(scores) - scores.begin());
      result.probability = scores[static_cast<std::size_t>(result.predicted)];
      results[static_cast<std::size_t>((number - first) * block) + r] = result;
    }
  }
};

EvaluationResult Evaluator::run(const Dataset& dataset, Communicator& world) {
  const std::int64_t samples = dataset.info().samples;
  const std::int64_t blocks = (samples + block_ - 1) / block_;
  const auto [share_begin, share_end] = share_of(world.rank(), world.size(), 0, static_cast<int>(blocks));
  const int first = share_begin, last = share_end;  // clang 14 captures no structured bindings
  const auto loader = make_evaluation_loader(dataset, block_, first, last, options_.augment,
                                             {.threads = options_.loader_threads, .depth = options_.threads + 1});
  Run part{members_, *loader, first, block_, classes_, options_.keep_samples, world.deadline(), {}, {}};
  const auto mine = static_cast<std::size_t>(last - first);
  part.sums.resize(mine * part.columns());
  part.results.resize(options_.keep_samples ? mine * static_cast<std::size_t>(block_) : 0);
  ThreadTeam team(static_cast<int>(lanes_.size()));
  std::atomic<int> next_block{first};  // blocks are taken in the loader's order; who takes one changes nothing
  team.run([&](int thread) {
    for (int block = next_block++; block < last; block = next_block++)
      part(*lanes_[static_cast<std::size_t>(thread)], block);
  });
  world.at("evaluation sums", 0);
  const std::vector<double> all = gather(part.sums, world);
  std::vector<double> totals;
  for (std::size_t c = 0; c < part.columns(); ++c) {
    std::vector<double> column;
    for (std::size_t i = c; i < all.size(); i += part.columns()) column.push_back(all[i]);
    totals.push_back(tree_sum(column));
  }
  EvaluationResult result;
  result.samples = static_cast<std::int64_t>(totals[0]);
  const auto mean = [&](std::size_t c) { return totals[0] > 0 ? totals[c] / totals[0] : 0; };
  static_cast<Scores&>(result) = {mean(1), mean(2), mean(3)};
  for (std::size_t m = 1; m <= members_.size(); ++m)
    result.models.push_back({mean(1 + kScores * m), mean(2 + kScores * m), mean(3 + kScores * m)});
  if (options_.keep_samples) {
    result.each = gather(part.results, world);
    std::erase_if(result.each, [](const SampleResult& sample) { return sample.index < 0; });
  }
  return result;
}

}  // namespace convoy
