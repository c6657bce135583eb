#pragma once
// The samples of a worker's units: the next one is read while the worker computes.
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "io/loader.h"

namespace convoy {

/// Threads: one calls; one of its own reads.
class UnitFeed {
 public:
  /// `loader`: of all units, reading when asked (LoaderOptions::threads = 0). `virtual_workers`: units of a step.
  UnitFeed(std::unique_ptr<Loader> loader, int virtual_workers);
  ~UnitFeed();
  UnitFeed(const UnitFeed&) = delete;
  UnitFeed& operator=(const UnitFeed&) = delete;

  /// It will probably be taken next.
  void expect(std::int64_t unit);
  /// Waits for it, or reads it now.
  std::shared_ptr<MicroBatch> take(std::int64_t unit);

 private:
  std::unique_ptr<Loader> loader_;
  const int virtual_workers_;
  std::mutex mutex_;
  std::condition_variable changed_;                // guards what follows
  std::optional<std::int64_t> wanted_, ready_;     // to be read; lies in batch_
  bool reading_ = false, ending_ = false;
  std::shared_ptr<MicroBatch> batch_;
  std::exception_ptr fault_;
  std::thread reader_;

  void read_ahead();
  std::shared_ptr<MicroBatch> read(std::int64_t unit);
};

}  // namespace convoy
