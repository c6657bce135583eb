#include "distributed/server/post_office.h"

#include <utility>

#include "core/tensor/error.h"

namespace convoy {
namespace {

constexpr int kHeaderTag = 1, kPayloadTag = 2;

/// Memory that a message to or from a dead peer may still touch: it lives as long as the process.
template <typename T>
void keep_for_ever(T&& owner) {
  static auto* const kept = new std::vector<std::shared_ptr<void>>;
  kept->push_back(std::make_shared<std::decay_t<T>>(std::forward<T>(owner)));
}

}  // namespace

PostOffice::PostOffice(Communicator& world, const std::vector<int>& peers) : world_(world) {
  for (const int rank : peers) {
    Peer& peer = peers_[rank];
    peer.rank = rank;
    if (rank == world_.rank()) continue;
    peer.header = std::make_unique<FrameHeader>();
    expect(peer);
  }
}

PostOffice::~PostOffice() {
  for (auto& [rank, peer] : peers_) leave_behind(peer);
}

void PostOffice::expect(Peer& peer) {
  peer.header_request = world_.receive(peer.header.get(), sizeof(FrameHeader), peer.rank, kHeaderTag);
}

void PostOffice::send(int rank, Frame frame) {
  frame.header.bytes = frame.payload.bytes;
  if (rank == world_.rank()) return own_.push_back(std::move(frame));
  Peer& peer = peers_.at(rank);
  if (peer.forgotten) return;
  sent_bytes_ += static_cast<std::int64_t>(sizeof(FrameHeader) + frame.payload.bytes);
  auto outgoing = std::make_unique<Outgoing>();
  outgoing->frame = std::move(frame);
  outgoing->header = world_.send(&outgoing->frame.header, sizeof(FrameHeader), rank, kHeaderTag);
  if (const Payload& payload = outgoing->frame.payload; payload.bytes > 0)
    outgoing->payload = world_.send(payload.data.get(), payload.bytes, rank, kPayloadTag);
  peer.outgoing.push_back(std::move(outgoing));
}

bool PostOffice::poll(const std::function<void(int, Frame)>& take) {
  bool moved = false;
  while (!own_.empty()) {
    Frame frame = std::move(own_.front());
    own_.pop_front();
    if (frame.header.kind == FrameKind::close) peers_.at(world_.rank()).closed = true;
    take(world_.rank(), std::move(frame));
    moved = true;
  }
  for (auto& [rank, peer] : peers_) {
    if (rank == world_.rank() || peer.forgotten) continue;
    while (poll_arrivals(peer, take)) moved = true;
    if (poll_departures(peer)) moved = true;
  }
  return moved;
}

/// Whether a frame was taken.
bool PostOffice::poll_arrivals(Peer& peer, const std::function<void(int, Frame)>& take) {
  if (peer.closed || peer.forgotten) return false;
  if (peer.header_request) {
    if (!peer.header_request->test()) return false;
    peer.header_request.reset();
    if (peer.header->bytes > 0) {
      peer.payload = pool_.take(peer.header->bytes);
      peer.payload_request = world_.receive(peer.payload.data.get(), peer.payload.bytes, peer.rank, kPayloadTag);
    }
  }
  if (peer.payload_request && !peer.payload_request->test()) return false;
  peer.payload_request.reset();
  Frame frame{*peer.header, std::exchange(peer.payload, {})};
  if (frame.header.kind == FrameKind::close)
    peer.closed = true;
  else
    expect(peer);
  take(peer.rank, std::move(frame));
  return true;
}

bool PostOffice::poll_departures(Peer& peer) {
  bool left = false;
  while (!peer.outgoing.empty()) {
    Outgoing& oldest = *peer.outgoing.front();
    if (!oldest.header->test() || (oldest.payload && !oldest.payload->test())) break;
    peer.outgoing.pop_front();
    left = true;
  }
  return left;
}

void PostOffice::forget(int rank) {
  Peer& peer = peers_.at(rank);
  leave_behind(peer);
  peer.forgotten = true;
}

void PostOffice::leave_behind(Peer& peer) {
  for (RequestPtr* request : {&peer.header_request, &peer.payload_request})
    if (*request) (*request)->abandon();
  if (peer.header_request) keep_for_ever(std::shared_ptr<FrameHeader>(std::move(peer.header)));
  if (peer.payload_request) keep_for_ever(peer.payload.data);
  peer.header_request.reset();
  peer.payload_request.reset();
  for (auto& outgoing : peer.outgoing) {
    outgoing->header->abandon();
    if (outgoing->payload) outgoing->payload->abandon();
    keep_for_ever(std::shared_ptr<Outgoing>(std::move(outgoing)));
  }
  peer.outgoing.clear();
}

bool PostOffice::sending() const {
  for (const auto& [rank, peer] : peers_)
    if (!peer.outgoing.empty()) return true;
  return !own_.empty();
}

std::vector<int> PostOffice::open_peers() const {
  std::vector<int> open;
  for (const auto& [rank, peer] : peers_)
    if (!peer.closed && !peer.forgotten) open.push_back(rank);
  return open;
}

}  // namespace convoy
