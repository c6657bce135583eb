#include "io/loader.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "io/batch_ring.h"
#include "io/batch_source.h"

namespace convoy {
namespace {

class PrefetchingLoader : public Loader {
 public:
  PrefetchingLoader(const Dataset& dataset, std::unique_ptr<BatchSource> source, const LoaderOptions& options)
      : source_(std::move(source)) {
    if (options.threads < 0 || options.depth < 1)
      throw UsageError(fmt::format("a loader with {} threads and depth {}: choose at least 0 and 1", options.threads,
                                   options.depth));
    // Of the step in use, and of `depth` steps ahead.
    const std::int64_t buffers = options.threads ? (options.depth + 1) * source_->tasks_per_step() : 1;
    ring_ = std::make_shared<BatchRing>(dataset.info(), source_->rows(),
                                        static_cast<std::size_t>(std::min(buffers, source_->tasks())), source_->tasks());
    try {
      for (int i = 0; i < options.threads; ++i) threads_.emplace_back([this, i] { prefetch(i); });
    } catch (...) {
      stop();
      throw;
    }
  }

  ~PrefetchingLoader() override { stop(); }

  std::shared_ptr<MicroBatch> next(std::int64_t step, int index) override {
    const auto start = std::chrono::steady_clock::now();
    const std::int64_t task = source_->task_of(step, index);
    auto batch = threads_.empty() ? load_now(task) : ring_->take(task);
    waited_ns_ += std::chrono::nanoseconds(std::chrono::steady_clock::now() - start).count();
    return batch;
  }

  double wait_seconds() const override { return 1e-9 * static_cast<double>(waited_ns_.load()); }

 private:
  std::shared_ptr<MicroBatch> load_now(std::int64_t task) {
    const trace::Doing reading(trace::Activity::input, "reading samples");
    auto batch = ring_->hand_out(ring_->take_free());
    source_->fill(task, *batch, stopped_);
    return batch;
  }

  void prefetch(int thread) {
    trace::name_thread(fmt::format("loader {}", thread));
    trace::doing(trace::Activity::idle, "waiting for a free buffer");
    while (BatchRing::Buffer* buffer = ring_->claim()) {
      const trace::Doing reading(trace::Activity::input, "reading samples");
      try {
        source_->fill(buffer->task, buffer->batch, stopped_);
      } catch (...) {
        buffer->fault = std::current_exception();
      }
      ring_->put_ready(buffer);
    }
  }

  void stop() {
    stopped_ = true;
    ring_->close();
    for (std::thread& thread : threads_) thread.join();
  }

  std::unique_ptr<BatchSource> source_;
  std::shared_ptr<BatchRing> ring_;
  std::atomic<bool> stopped_{false};
  std::atomic<std::int64_t> waited_ns_{0};
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<Loader> make_training_loader(const Dataset& dataset, const TrainingStream& stream,
                                             const LoaderOptions& options) {
  return std::make_unique<PrefetchingLoader>(dataset, make_training_source(dataset, stream), options);
}

std::unique_ptr<Loader> make_evaluation_loader(const Dataset& dataset, std::int64_t block, std::int64_t first_block,
                                               std::int64_t last_block, const AugmentOptions& augment,
                                               const LoaderOptions& options) {
  return std::make_unique<PrefetchingLoader>(
      dataset, make_evaluation_source(dataset, block, first_block, last_block, augment), options);
}

}  // namespace convoy
