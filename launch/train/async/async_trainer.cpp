// The main thread of every rank of an asynchronous run: frames come and go, the server serves.
#include "launch/train/async/async_trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "distributed/backoff.h"
#include "launch/train/agreement.h"
#include "launch/train/signals.h"
#include "launch/train/step_engine.h"

namespace convoy {
namespace {

constexpr std::int64_t kBeatEvery = 1'000'000'000;  // ns
constexpr std::chrono::seconds kOthersSpeak{3};
constexpr double kGoodbyeSeconds = 10;              // for the last frames

Payload text_payload(const std::string& text) {
  if (text.empty()) return {};
  Payload payload{std::shared_ptr<std::byte>(new std::byte[text.size()], std::default_delete<std::byte[]>()), text.size()};
  std::memcpy(payload.data.get(), text.data(), text.size());
  return payload;
}

}  // namespace

int AsyncTrainer::run() {
  if (replays()) return replay();
  office_ = std::make_unique<PostOffice>(all_, roles_.peers_of(team_.rank()));
  start_workers();
  began_ns_ = trace::now();
  trace::doing(trace::Activity::idle, "serving");
  Backoff idle;
  while (!closing_) {
    if (exchange())
      idle = Backoff();
    else
      idle.pause();
  }
  workers_.clear();
  close();
  if (!failure_.empty()) throw AgreedError(1, -1, failure_, false);
  if (folder_) say_end();
  return stopping_ ? 75 : 0;
}

/// One look at everything. Whether anything happened.
bool AsyncTrainer::exchange() {
  bool moved = office_->poll([this](int from, Frame frame) { take(from, std::move(frame)); });
  carry_outgoing();
  if (folder_ && !ended_) moved = coordinate() || moved;
  beat();
  look_for_deaths();
  return moved;
}

void AsyncTrainer::take(int from, Frame frame) {
  liveness_->heard(from);
  if (lost_.contains(from)) {
    office_->send(from, {.header = {.kind = FrameKind::left_out}, .payload = {}});
    return;
  }
  const FrameHeader& header = frame.header;
  switch (header.kind) {
    case FrameKind::request: return take_request(frame);
    case FrameKind::describe:
      return sequencer_->described(decode(frame.payload.as<std::uint8_t>(), frame.payload.bytes));
    case FrameKind::push:
      server_->take({header.worker, header.sequence}, std::move(frame.payload));
      if (folder_) return sequencer_->arrived(header.worker, header.sequence);
      return office_->send(0, {.header = {.kind = FrameKind::arrived, .worker = header.worker, .sequence = header.sequence},
                               .payload = {}});
    case FrameKind::arrived: return sequencer_->arrived(header.worker, header.sequence);
    case FrameKind::order: return execute(decode_order(frame));
    case FrameKind::go:
    case FrameKind::slice:
      for (const auto& worker : workers_)
        if (worker->id() == header.worker) return worker->deliver(std::move(frame));
      return;
    case FrameKind::state: return take_state(static_cast<int>(header.numbers[0]), frame.payload);
    case FrameKind::beat:
      if (folder_) {
        save_asked_ = save_asked_ || header.numbers[0] != 0;
        stop_asked_ = stop_asked_ || header.numbers[1] != 0;
      }
      return;
    case FrameKind::left_out:
      throw PeerError(fmt::format("rank {} was silent for so long that the run went on without it", team_.world_rank(team_.rank())),
                      team_.world_rank(team_.rank()));
    case FrameKind::close:
      if (from == 0) closing_ = true;
      others_lost_ = others_lost_ || header.numbers[0] != 0;
      if (frame.payload.bytes > 0) failure_.assign(frame.payload.as<char>(), frame.payload.bytes);
      return;
  }
}

void AsyncTrainer::carry_outgoing() {
  for (const auto& worker : workers_)
    for (Worker::Outgoing& outgoing : worker->take_outgoing())
      office_->send(outgoing.server == kSequencer ? 0 : roles_.servers[static_cast<std::size_t>(outgoing.server)],
                    std::move(outgoing.frame));
}

/// Rank 0 to all, and all to rank 0 with what signals have asked of them.
void AsyncTrainer::beat() {
  const std::int64_t now = trace::now();
  const Requests asked = take_asked();
  if (folder_) {
    save_asked_ = save_asked_ || asked[kAskCheckpoint] > 0;
    stop_asked_ = stop_asked_ || asked[kAskStop] > 0;
  } else if (asked[kAskCheckpoint] > 0 || (asked[kAskStop] > 0 && !stop_asked_)) {
    stop_asked_ = asked[kAskStop] > 0;
    beat_ns_ = 0;
  }
  if (now - beat_ns_ < kBeatEvery) return;
  beat_ns_ = now;
  const Frame frame{.header = {.kind = FrameKind::beat, .numbers = {asked[kAskCheckpoint] > 0, asked[kAskStop] > 0, 0, 0}},
                    .payload = {}};
  if (!folder_) return office_->send(0, frame);
  for (int rank = 1; rank < team_.size(); ++rank) office_->send(rank, frame);
}

void AsyncTrainer::look_for_deaths() {
  if (const auto death = liveness_->look()) lose(*death);
}

void AsyncTrainer::lose(const Liveness::Death& death) {
  const int named = team_.world_rank(death.rank);
  if (death.rank == 0) {
    if (team_.rank() > 1) std::this_thread::sleep_for(kOthersSpeak);  // one rank tells it
    throw PeerError(fmt::format("rank {}, server 0, is lost: {}; --resume=latest goes on from the newest checkpoint", named, death.how),
                    named);
  }
  const auto server = std::ranges::find(roles_.servers, death.rank);
  if (server != roles_.servers.end() && !ended_)
    throw PeerError(fmt::format("rank {}, server {}, is lost with its slice of the parameters: {}; --resume=latest goes on from the "
                                "newest checkpoint",
                                named, server - roles_.servers.begin(), death.how),
                    named);
  if (!ranks_may_die() && !ended_)
    throw PeerError(fmt::format("rank {} is lost: {}; mpirun then ends all others, but for --enable-recovery. --resume=latest goes on from "
                                "the newest checkpoint",
                                named, death.how),
                    named);
  lost_[death.rank] = death.how;
  office_->forget(death.rank);
  if (ended_) return;
  for (const int worker : roles_.workers_of(death.rank)) {
    sequencer_->lose(worker);
    tell({.kind = Order::Kind::forget, .worker = worker, .update = {}});
  }
  progress_->say("lost", fmt::format("rank {} is left out: {}; {} of {} workers go on", named,
                                     death.how, sequencer_->alive(), roles_.worker_ranks.size()));
  book_->log(fmt::format(R"({{"kind":"lost","step":{},"rank":{},"workers":{}}})", book_->step(), named, sequencer_->alive()));
  if (sequencer_->alive() == 0)
    throw PeerError(fmt::format("no worker is left: {}. --resume=latest goes on from the newest checkpoint", death.how), named);
}

/// An entry of the order, on the rank of a server.
void AsyncTrainer::execute(const Order& order) {
  switch (order.kind) {
    case Order::Kind::pull: {
      Frame frame{.header = {.kind = FrameKind::slice, .worker = order.worker, .version = order.update.version},
                  .payload = server_->pull(order.worker, order.update.version)};
      frame.header.numbers[0] = server_number_;
      return office_->send(roles_.worker_ranks[static_cast<std::size_t>(order.worker)], std::move(frame));
    }
    case Order::Kind::apply: {
      const trace::Doing updating(trace::Activity::update, "a push");
      if (chaos_ && workers_.empty())
        while (server_step_ <= order.update.version / spec_.virtual_workers) chaos_->before_step(++server_step_);
      return server_->apply(order.update);
    }
    case Order::Kind::drop:
      for (const PushName& push : order.update.pushes) server_->drop(push);
      return;
    case Order::Kind::forget: return server_->forget(order.worker);
    case Order::Kind::snapshot: {
      Payload all = server_->state();
      if (folder_) return take_state(server_number_, all);
      Frame frame{.header = {.kind = FrameKind::state}, .payload = std::move(all)};
      frame.header.numbers[0] = server_number_;
      return office_->send(0, std::move(frame));
    }
  }
}

/// Rank 0: an entry of the order to all servers, itself among them.
void AsyncTrainer::tell(const Order& order) {
  const Frame frame = encode(order);
  for (const int rank : roles_.servers)
    if (rank != 0) office_->send(rank, frame);
  execute(order);
}

/// The last frames: rank 0 closes first, the others answer.
void AsyncTrainer::close() {
  const std::vector<int> peers = roles_.peers_of(team_.rank());
  for (const int rank : peers)
    if (!lost_.contains(rank))
      office_->send(rank, {.header = {.kind = FrameKind::close, .numbers = {!lost_.empty(), 0, 0, 0}}, .payload = text_payload(failure_)});
  Backoff idle;
  while (office_->sending() || !office_->open_peers().empty()) {
    if (office_->poll([](int, Frame) {})) idle = Backoff();
    if (const auto death = liveness_->look()) {
      lost_[death->rank] = death->how;
      office_->forget(death->rank);
    }
    if (std::chrono::duration<double>(idle.waited()).count() > kGoodbyeSeconds)
      for (const int rank : office_->open_peers()) {
        lost_[rank] = "no answer at the run's end";
        office_->forget(rank);
      }
    idle.pause();
  }
}

RunStatus AsyncTrainer::status(int status, const std::string& reason, int rank) const {
  if (book_) return book_->status(status, reason, rank);
  RunStatus told;
  told.status = status;
  told.reason = reason;
  told.rank = rank;
  return told;
}

}  // namespace convoy
