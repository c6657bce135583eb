#include "io/batch_ring.h"

#include <algorithm>
#include <new>

#include "core/trace/trace.h"

namespace convoy {

/// Puts a shared pointer's control block into the buffer. The block is the last thing to go, so the buffer is free when
/// the block is.
template <typename T>
struct BatchRing::BufferAllocator {
  using value_type = T;
  std::shared_ptr<BatchRing> ring;
  Buffer* buffer;

  BufferAllocator(std::shared_ptr<BatchRing> owner, Buffer* of) : ring(std::move(owner)), buffer(of) {}
  template <typename U>
  BufferAllocator(const BufferAllocator<U>& other) : ring(other.ring), buffer(other.buffer) {}

  T* allocate(std::size_t count) {
    if (count * sizeof(T) > sizeof buffer->control_block) throw std::bad_alloc();
    return reinterpret_cast<T*>(buffer->control_block);
  }
  void deallocate(T*, std::size_t) noexcept { ring->bring_back(buffer); }
  template <typename U>
  bool operator==(const BufferAllocator<U>& other) const {
    return buffer == other.buffer;
  }
};

BatchRing::BatchRing(const DatasetInfo& info, std::int64_t rows, std::size_t buffers, std::int64_t tasks)
    : dtype_(info.dtype), tasks_(tasks) {
  std::vector<std::int64_t> extents{rows};
  extents.insert(extents.end(), info.sample.extents().begin(), info.sample.extents().end());
  images_ = Shape(extents);
  for (std::size_t i = 0; i < buffers; ++i) {
    buffers_.push_back(make_buffer());
    free_.push_back(buffers_.back().get());
  }
  ready_.reserve(buffers);
}

std::unique_ptr<BatchRing::Buffer> BatchRing::make_buffer() const {
  auto buffer = std::make_unique<Buffer>();
  const std::int64_t rows = images_[0];
  MicroBatch& batch = buffer->batch;
  batch.images = Tensor(images_, dtype_);
  batch.labels = Tensor(Shape{rows}, DType::i32);
  batch.weights = Tensor(Shape{rows}, DType::f32);
  batch.partner_labels = Tensor(Shape{rows}, DType::i32);
  batch.partner_weights = Tensor(Shape{rows}, DType::f32);
  batch.transforms = Tensor(Shape{rows, 4}, DType::i32);
  batch.keys = Tensor(Shape{rows, 2}, DType::u64);
  batch.indices.resize(static_cast<std::size_t>(rows));
  return buffer;
}

BatchRing::Buffer* BatchRing::pop_free() {
  if (free_.empty()) {
    buffers_.push_back(make_buffer());
    free_.reserve(buffers_.size());
    return buffers_.back().get();
  }
  Buffer* buffer = free_.back();
  free_.pop_back();
  return buffer;
}

BatchRing::Buffer* BatchRing::claim() {
  std::unique_lock lock(mutex_);
  freed_.wait(lock, [&] { return closed_ || next_task_ == tasks_ || !free_.empty() || next_task_ < wanted_; });
  if (closed_ || next_task_ == tasks_) return nullptr;
  Buffer* buffer = pop_free();
  buffer->task = next_task_++;
  buffer->fault = nullptr;
  return buffer;
}

void BatchRing::put_ready(Buffer* buffer) {
  {
    const std::lock_guard lock(mutex_);
    ready_.push_back(buffer);
  }
  arrived_.notify_all();
}

std::shared_ptr<MicroBatch> BatchRing::take(std::int64_t task) {
  std::unique_lock lock(mutex_);
  wanted_ = std::max(wanted_, task + 1);
  if (next_task_ < wanted_) freed_.notify_all();
  auto found = ready_.end();
  const auto has_arrived = [&] {
    found = std::find_if(ready_.begin(), ready_.end(), [&](const Buffer* buffer) { return buffer->task == task; });
    return found != ready_.end();
  };
  if (!has_arrived()) {
    const trace::Doing waiting(trace::Activity::input, "waiting for samples");
    arrived_.wait(lock, has_arrived);
  }
  Buffer* buffer = *found;
  *found = ready_.back();
  ready_.pop_back();
  lock.unlock();
  const std::exception_ptr fault = buffer->fault;
  auto batch = hand_out(buffer);
  if (fault) std::rethrow_exception(fault);
  return batch;
}

BatchRing::Buffer* BatchRing::take_free() {
  const std::lock_guard lock(mutex_);
  return pop_free();
}

std::shared_ptr<MicroBatch> BatchRing::hand_out(Buffer* buffer) {
  const auto keep = [](MicroBatch*) {};
  return std::shared_ptr<MicroBatch>(&buffer->batch, keep, BufferAllocator<MicroBatch>(shared_from_this(), buffer));
}

void BatchRing::bring_back(Buffer* buffer) {
  {
    const std::lock_guard lock(mutex_);
    free_.push_back(buffer);
  }
  freed_.notify_one();
}

void BatchRing::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  freed_.notify_all();
}

}  // namespace convoy
