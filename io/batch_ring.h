#pragma once
// Micro-batch buffers on their way round: free, being filled, ready, handed out, free again. Private to io.
//
// Threads: all functions may be called from any thread; `mutex_` guards all members below it. The ring is kept alive by
// every batch that is still handed out.
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <vector>

#include "io/loader.h"

namespace convoy {

class BatchRing : public std::enable_shared_from_this<BatchRing> {
 public:
  struct Buffer {
    MicroBatch batch;
    std::exception_ptr fault;              // thrown to whoever asks for the batch
    std::int64_t task = 0;
    // The control block of the shared pointer that hands the batch out: so handing out allocates nothing.
    alignas(std::max_align_t) std::byte control_block[128];
  };

  /// `buffers` buffers for `rows` samples, for tasks 0 .. tasks - 1.
  BatchRing(const DatasetInfo& info, std::int64_t rows, std::size_t buffers, std::int64_t tasks);

  /// The next task with a buffer for it; waits until a buffer is free, or makes one more when a caller waits for this
  /// very task or a later one. Null: no task is left, or the ring was closed.
  Buffer* claim();
  /// The buffer's task is done, or has failed.
  void put_ready(Buffer* buffer);
  /// Waits until `task` is ready and hands it out; rethrows its fault.
  std::shared_ptr<MicroBatch> take(std::int64_t task);
  /// A free buffer at once, for callers that fill it themselves.
  Buffer* take_free();
  std::shared_ptr<MicroBatch> hand_out(Buffer* buffer);
  /// Wakes all in claim().
  void close();

 private:
  template <typename T>
  struct BufferAllocator;
  std::unique_ptr<Buffer> make_buffer() const;
  Buffer* pop_free();            // makes one when there is none; mutex_ is held
  void bring_back(Buffer* buffer);

  Shape images_;                 // [rows, s.., c]
  DType dtype_;
  std::int64_t tasks_;

  std::mutex mutex_;
  std::condition_variable freed_, arrived_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::vector<Buffer*> free_, ready_;
  std::int64_t next_task_ = 0;   // the first that nobody claimed
  std::int64_t wanted_ = 0;      // one past the last that was asked for
  bool closed_ = false;
};

}  // namespace convoy
