#pragma once
// A worker: a thread that asks for micro-batches, pulls parameters, computes, and pushes gradients at its own pace. It talks by
// frames, which the process's main thread carries.
//
//   ask --> go (and the slices, where it pulls) --> compute --> push, every so many micro-batches --> ask ...
//
// With `ahead` it asks for the next micro-batch, and pulls, as it begins to compute: the parameters travel meanwhile, and are
// older by what it is computing.
#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "launch/train/async/lane.h"
#include "launch/train/async/unit_feed.h"

namespace convoy {

/// What the sequencer answers: numbers of FrameKind::go.
enum GoNumber { kGoUnit, kGoExpect, kGoPulls, kGoAnswer };
enum GoAnswer : std::int64_t { kBegin, kFlush, kEnd };
/// What a worker asks: numbers of FrameKind::request.
enum RequestNumber { kRequestIdle, kRequestPulls, kRequestComputed };

struct WorkerOptions {
  int id = 0;
  int servers = 1;
  int virtual_workers = 1;
  int fetch_every = 1, push_every = 1;
  bool ahead = true;
  /// Of a worker's own steps between pulls (fetch_every > 1), by the unit.
  std::function<double(std::int64_t unit)> rate;
  /// Fault injection, with the number of the step whose unit is begun, from 1. Null: nothing.
  std::function<void(std::int64_t step)> before_unit = {}, before_input = {}, before_compute = {};
};

inline constexpr int kSequencer = -1;  // a frame's way, instead of a server

class Worker {
 public:
  Worker(const WorkerOptions& options, std::unique_ptr<Lane> lane, std::unique_ptr<UnitFeed> feed);
  /// Ends the thread after the micro-batch under way.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // By the main thread:
  /// go, or a slice (numbers[0]: of which server).
  void deliver(Frame frame);
  struct Outgoing {
    int server = kSequencer;
    Frame frame;
  };
  /// What it wants to send. Rethrows what ended the thread.
  std::vector<Outgoing> take_outgoing();
  int id() const { return options_.id; }
  const Lane& lane() const { return *lane_; }

 private:
  struct Answer {
    Frame go;
    std::vector<Payload> slices;
  };
  const WorkerOptions options_;
  std::unique_ptr<Lane> lane_;
  std::unique_ptr<UnitFeed> feed_;
  std::int64_t computed_ = 0, begun_ = 0, pushes_ = 0;
  double input_seconds_ = 0, pull_seconds_ = 0;
  bool pulls_next_ = true;

  std::mutex mutex_;                    // guards what follows
  std::condition_variable arrived_;
  std::deque<Frame> answers_;           // go frames
  std::vector<std::deque<Payload>> slices_;  // by server
  std::vector<Outgoing> outgoing_;
  std::exception_ptr error_;
  bool ending_ = false;
  std::thread thread_;

  void work();
  void ask(bool idle);
  std::optional<Answer> await();
  void begin(const Answer& answer);
  void push();
  void send(int server, Frame frame);
};

}  // namespace convoy
