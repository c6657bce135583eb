#include "launch/train/async/unit_feed.h"

#include <utility>

#include "core/trace/trace.h"

namespace convoy {

UnitFeed::UnitFeed(std::unique_ptr<Loader> loader, int virtual_workers)
    : loader_(std::move(loader)), virtual_workers_(virtual_workers), reader_([this] { read_ahead(); }) {}

UnitFeed::~UnitFeed() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  reader_.join();
}

std::shared_ptr<MicroBatch> UnitFeed::read(std::int64_t unit) {
  return loader_->next(unit / virtual_workers_, static_cast<int>(unit % virtual_workers_));
}

void UnitFeed::expect(std::int64_t unit) {
  const std::lock_guard lock(mutex_);
  if (reading_ || ready_ == unit) return;  // what is being read will be taken, or thrown away, first
  wanted_ = unit;
  changed_.notify_all();
}

void UnitFeed::read_ahead() {
  trace::name_thread("loader");
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return ending_ || wanted_; });
    if (ending_) return;
    const std::int64_t unit = *std::exchange(wanted_, std::nullopt);
    reading_ = true;
    ready_.reset();
    batch_.reset();
    fault_ = nullptr;
    lock.unlock();
    std::shared_ptr<MicroBatch> batch;
    std::exception_ptr fault;
    try {
      batch = read(unit);
    } catch (...) {
      fault = std::current_exception();
    }
    lock.lock();
    batch_ = std::move(batch);
    fault_ = fault;
    ready_ = unit;
    reading_ = false;
    changed_.notify_all();
  }
}

std::shared_ptr<MicroBatch> UnitFeed::take(std::int64_t unit) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !reading_ && !wanted_; });
  if (ready_ != unit) {
    lock.unlock();
    return read(unit);
  }
  ready_.reset();
  auto batch = std::move(batch_);
  if (fault_) std::rethrow_exception(std::exchange(fault_, nullptr));
  return batch;
}

}  // namespace convoy
