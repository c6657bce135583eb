#include "launch/train/evaluator.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

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

/// Sums over one block: loss, samples, top-1, top-5.
using BlockSums = std::array<double, 4>;

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

}  // namespace

Evaluator::Evaluator(const Task& task, const Backend& backend, const StateMemory& memory, const AugmentOptions& augment,
                     const EvaluatorOptions& options)
    : graph_(build_evaluation_graph(task)),
      augment_(augment),
      options_(options),
      block_(task.micro_batch),
      classes_(task.classes) {
  augment_.flip = false;
  for (int thread = 0; thread < options.threads; ++thread) {
    Lane lane;
    const std::vector<Value> outputs{graph_.probabilities, graph_.sample_loss};
    lane.program = std::make_unique<Program>(graph_.graph, backend, ProgramOptions{.keep = outputs});
    bind_state(*lane.program, memory);
    const TaskInputs& in = graph_.inputs;
    lane.io = std::make_unique<ProgramIo>(*lane.program, backend.device(),
                                          std::vector<Value>{in.images, in.transforms, in.labels, in.weights}, outputs);
    lanes_.push_back(std::move(lane));
  }
}

std::size_t Evaluator::memory_bytes() const {
  std::size_t bytes = 0;
  for (const Lane& lane : lanes_) bytes += lane.program->arena_bytes() + lane.program->scratch_bytes();
  return bytes;
}

EvaluationResult Evaluator::run(const Dataset& dataset, Communicator& world) {
  const std::int64_t samples = dataset.info().samples;
  const std::int64_t blocks = (samples + block_ - 1) / block_;
  const auto [share_begin, share_end] = share_of(world.rank(), world.size(), 0, static_cast<int>(blocks));
  const int first = share_begin, last = share_end;  // clang 14 captures no structured bindings
  const auto loader = make_evaluation_loader(dataset, block_, first, last, augment_,
                                             {.threads = options_.loader_threads, .depth = options_.threads + 1});
  std::vector<BlockSums> sums(static_cast<std::size_t>(last - first));
  std::vector<SampleResult> results(options_.keep_samples ? sums.size() * static_cast<std::size_t>(block_) : 0);
  const std::chrono::milliseconds deadline = world.deadline();
  const auto run_block = [&](ProgramIo& io, int block) {
    const std::shared_ptr<MicroBatch> batch = loader->next(block, 0);
    check_labels(*batch, classes_);
    io.put(graph_.inputs.images, batch->images.bytes());
    io.put(graph_.inputs.transforms, batch->transforms.bytes());
    io.put(graph_.inputs.labels, batch->labels.bytes());
    io.put(graph_.inputs.weights, batch->weights.bytes());
    io.run(deadline);
    const float* probabilities = io.get<float>(graph_.probabilities);
    const float* losses = io.get<float>(graph_.sample_loss);
    const auto labels = batch->labels.values<std::int32_t>();
    BlockSums& sum = sums[static_cast<std::size_t>(block - first)];
    for (std::int64_t row = 0; row < block_; ++row) {
      const auto r = static_cast<std::size_t>(row);
      const std::span<const float> scores(probabilities + row * classes_, static_cast<std::size_t>(classes_));
      SampleResult result{batch->indices[r], labels[r], 0, 0, losses[r]};
      result.predicted = static_cast<std::int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
      result.probability = scores[static_cast<std::size_t>(result.predicted)];
      if (options_.keep_samples) results[static_cast<std::size_t>((block - first) * block_ + row)] = result;
      if (result.index < 0) continue;  // padding
      sum[0] += static_cast<double>(losses[r]);
      sum[1] += 1;
      sum[2] += in_top_k(scores, labels[r], 1) ? 1 : 0;
      sum[3] += in_top_k(scores, labels[r], 5) ? 1 : 0;
    }
  };
  ThreadTeam team(static_cast<int>(lanes_.size()));
  std::atomic<int> next_block{first};  // blocks are taken in the loader's order; who takes one changes nothing
  team.run([&](int thread) {
    for (int block = next_block++; block < last; block = next_block++)
      run_block(*lanes_[static_cast<std::size_t>(thread)].io, block);
  });
  world.at("evaluation sums", 0);
  const std::vector<BlockSums> all = gather(sums, world);
  std::array<std::vector<double>, 4> columns;
  for (const BlockSums& block : all)
    for (std::size_t c = 0; c < columns.size(); ++c) columns[c].push_back(block[c]);
  EvaluationResult result;
  const double count = tree_sum(columns[1]);
  result.samples = static_cast<std::int64_t>(count);
  result.loss = count > 0 ? tree_sum(columns[0]) / count : 0;
  result.top1 = count > 0 ? tree_sum(columns[2]) / count : 0;
  result.top5 = count > 0 ? tree_sum(columns[3]) / count : 0;
  if (options_.keep_samples) {
    result.each = gather(results, world);
    std::erase_if(result.each, [](const SampleResult& sample) { return sample.index < 0; });
  }
  return result;
}

}  // namespace convoy
