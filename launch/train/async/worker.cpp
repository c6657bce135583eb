#include "launch/train/async/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/trace/trace.h"

namespace convoy {
namespace {

double seconds_since(std::int64_t begin_ns) { return 1e-9 * static_cast<double>(trace::now() - begin_ns); }

}  // namespace

Worker::Worker(const WorkerOptions& options, std::unique_ptr<Lane> lane, std::unique_ptr<UnitFeed> feed)
    : options_(options),
      lane_(std::move(lane)),
      feed_(std::move(feed)),
      slices_(static_cast<std::size_t>(options.servers)),
      thread_([this] {
        trace::name_thread(fmt::format("worker {}", options_.id));
        try {
          work();
        } catch (...) {
          const std::lock_guard lock(mutex_);
          error_ = std::current_exception();
        }
      }) {}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  arrived_.notify_all();
  thread_.join();
}

void Worker::deliver(Frame frame) {
  {
    const std::lock_guard lock(mutex_);
    if (frame.header.kind == FrameKind::slice)
      slices_.at(static_cast<std::size_t>(frame.header.numbers[0])).push_back(std::move(frame.payload));
    else
      answers_.push_back(std::move(frame));
  }
  arrived_.notify_all();
}

std::vector<Worker::Outgoing> Worker::take_outgoing() {
  const std::lock_guard lock(mutex_);
  if (error_ && outgoing_.empty()) std::rethrow_exception(std::exchange(error_, nullptr));
  return std::exchange(outgoing_, {});
}

void Worker::send(int server, Frame frame) {
  frame.header.worker = options_.id;
  const std::lock_guard lock(mutex_);
  outgoing_.push_back({server, std::move(frame)});
}

void Worker::ask(bool idle) {
  Frame frame{.header = {.kind = FrameKind::request}, .payload = {}};
  frame.header.numbers[kRequestIdle] = idle;
  frame.header.numbers[kRequestPulls] = pulls_next_;
  frame.header.numbers[kRequestComputed] = computed_;
  send(kSequencer, std::move(frame));
}

/// The next answer, complete with the slices that belong to it; none when the run ends.
std::optional<Worker::Answer> Worker::await() {
  const trace::Doing waiting(trace::Activity::peer, "waiting for parameters");
  const std::int64_t begin = trace::now();
  std::unique_lock lock(mutex_);
  const auto is_complete = [&] {
    if (answers_.empty()) return false;
    if (answers_.front().header.numbers[kGoPulls] == 0) return true;
    return std::ranges::none_of(slices_, [](const auto& slices) { return slices.empty(); });
  };
  arrived_.wait(lock, [&] { return ending_ || is_complete(); });
  if (ending_) return std::nullopt;
  Answer answer{std::move(answers_.front()), {}};
  answers_.pop_front();
  if (answer.go.header.numbers[kGoPulls] != 0)
    for (auto& slices : slices_) {
      answer.slices.push_back(std::move(slices.front()));
      slices.pop_front();
    }
  pull_seconds_ += seconds_since(begin);
  return answer;
}

void Worker::work() {
  ask(true);
  while (const auto answer = await()) {
    switch (answer->go.header.numbers[kGoAnswer]) {
      case kEnd: return;
      case kFlush:
        if (lane_->has_unpushed()) push();
        ask(true);
        break;
      default: begin(*answer);
    }
  }
}

void Worker::begin(const Answer& answer) {
  const FrameHeader& go = answer.go.header;
  const std::int64_t unit = go.numbers[kGoUnit], step = unit / options_.virtual_workers + 1;
  trace::at_step(step);
  for (std::size_t server = 0; server < answer.slices.size(); ++server) lane_->take(static_cast<int>(server), answer.slices[server]);
  if (!answer.slices.empty()) lane_->took_all();
  ++begun_;
  pulls_next_ = begun_ % options_.fetch_every == 0;
  if (options_.ahead) ask(false);
  if (options_.before_unit) options_.before_unit(step);
  const std::int64_t waits = trace::now();
  if (options_.before_input) options_.before_input(step);
  const std::shared_ptr<MicroBatch> batch = feed_->take(unit);
  if (go.numbers[kGoExpect] >= 0) feed_->expect(go.numbers[kGoExpect]);
  input_seconds_ += seconds_since(waits);
  if (options_.before_compute) options_.before_compute(step);
  lane_->compute(*batch, {unit, answer.slices.empty() ? -1 : go.version});
  ++computed_;
  if (options_.fetch_every > 1) lane_->descend(options_.rate(unit));
  if (computed_ % options_.push_every == 0) push();
  if (!options_.ahead) ask(!lane_->has_unpushed());
}

void Worker::push() {
  Push description{.worker = options_.id, .sequence = pushes_++};
  std::vector<Payload> slices = lane_->push(description);
  description.input_seconds = std::exchange(input_seconds_, 0);
  description.pull_seconds = std::exchange(pull_seconds_, 0);
  for (std::size_t server = 0; server < slices.size(); ++server)
    send(static_cast<int>(server), {.header = {.kind = FrameKind::push, .sequence = description.sequence}, .payload = slices[server]});
  const std::vector<std::uint8_t> words = encode(description);
  Payload payload{std::shared_ptr<std::byte>(new std::byte[words.size()], std::default_delete<std::byte[]>()), words.size()};
  std::memcpy(payload.data.get(), words.data(), words.size());
  send(kSequencer, {.header = {.kind = FrameKind::describe, .sequence = description.sequence}, .payload = std::move(payload)});
}

}  // namespace convoy
