#include "launch/train/async/background_evaluator.h"

#include <cstring>
#include <utility>

#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "launch/train/async/lane.h"

namespace convoy {

BackgroundEvaluator::BackgroundEvaluator(const Task& task, const Backend& backend, const EvaluatorOptions& options,
                                         const Dataset& data, Communicator& alone, const ModelState& like)
    : data_(data), alone_(alone) {
  state_ = {.parameters = clone(like.parameters), .slots = {}, .state = clone(like.state), .averages = {},
            .constants = clone(like.constants), .copies = clone(like.copies)};
  memory_ = std::make_unique<StateMemory>(state_, backend.device());
  evaluator_ = std::make_unique<Evaluator>(std::vector<EvaluatedModel>{{&task, memory_.get()}}, backend, options);
  thread_ = std::thread([this] { work(); });
}

BackgroundEvaluator::~BackgroundEvaluator() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void BackgroundEvaluator::begin(const ModelState& state) {
  const std::lock_guard lock(mutex_);
  if (busy_ || outcome_) throw Error("an evaluation began before the result of the one before was taken");
  const auto copy = [](TensorMap& to, const TensorMap& from) {
    for (auto& [name, tensor] : to) std::memcpy(tensor.bytes(), from.at(name).bytes(), tensor.size_bytes());
  };
  copy(state_.parameters, state.parameters);
  copy(state_.state, state.state);
  refresh_copies(state_);
  wanted_ = busy_ = true;
  changed_.notify_all();
}

bool BackgroundEvaluator::busy() const {
  const std::lock_guard lock(mutex_);
  return busy_;
}

std::optional<BackgroundEvaluator::Outcome> BackgroundEvaluator::take() {
  const std::lock_guard lock(mutex_);
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  return std::exchange(outcome_, std::nullopt);
}

void BackgroundEvaluator::work() {
  trace::name_thread("evaluator");
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return ending_ || wanted_; });
    if (ending_) return;
    wanted_ = false;
    lock.unlock();
    const trace::Doing evaluating(trace::Activity::evaluate, "the validation split");
    const std::int64_t begin = trace::now();
    std::optional<Outcome> outcome;
    std::exception_ptr error;
    try {
      memory_->upload();
      outcome = Outcome{evaluator_->run(data_, alone_), 0};
      outcome->seconds = 1e-9 * static_cast<double>(trace::now() - begin);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    outcome_ = std::move(outcome);
    error_ = error;
    busy_ = false;
  }
}

}  // namespace convoy
