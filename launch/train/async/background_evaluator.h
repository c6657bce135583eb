#pragma once
// Evaluations of states that a run has left behind already, on a thread of their own.
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "launch/train/evaluator.h"
#include "launch/train/model_state.h"

namespace convoy {

class BackgroundEvaluator {
 public:
  /// `alone`: a communicator of this rank. All outlive this object; the backend's device is used by its thread alone. `like`: a
  /// state of the model.
  BackgroundEvaluator(const Task& task, const Backend& backend, const EvaluatorOptions& options, const Dataset& data,
                      Communicator& alone, const ModelState& like);
  ~BackgroundEvaluator();
  BackgroundEvaluator(const BackgroundEvaluator&) = delete;
  BackgroundEvaluator& operator=(const BackgroundEvaluator&) = delete;

  /// Copies the state. One at a time: the result of the one before was taken.
  void begin(const ModelState& state);
  bool busy() const;
  struct Outcome {
    EvaluationResult result;
    double seconds = 0;
  };
  /// Rethrows what went wrong.
  std::optional<Outcome> take();
  std::size_t memory_bytes() const { return memory_->bytes() + evaluator_->memory_bytes(); }

 private:
  const Dataset& data_;
  Communicator& alone_;
  ModelState state_;
  std::unique_ptr<StateMemory> memory_;
  std::unique_ptr<Evaluator> evaluator_;
  mutable std::mutex mutex_;                 // guards what follows
  std::condition_variable changed_;
  bool wanted_ = false, busy_ = false, ending_ = false;
  std::optional<Outcome> outcome_;
  std::exception_ptr error_;
  std::thread thread_;

  void work();
};

}  // namespace convoy
