#pragma once
// Frames between ranks, none of which waits for another: everything is nonblocking and polled by one thread, so that a peer
// that died or stopped holds nobody up.
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "distributed/communicator.h"
#include "distributed/server/frame.h"

namespace convoy {

/// Threads: one, the communicator's.
class PostOffice {
 public:
  /// Between this rank and `peers` (ranks of `world`, which outlives this object), who each have this rank among theirs; this
  /// rank may be one of them.
  PostOffice(Communicator& world, const std::vector<int>& peers);
  /// Leaves behind what is under way, as for peers that are gone.
  ~PostOffice();
  PostOffice(const PostOffice&) = delete;
  PostOffice& operator=(const PostOffice&) = delete;

  /// Frames to one peer arrive in order. Dropped where the peer was forgotten.
  void send(int peer, Frame frame);
  /// Moves what can be moved; `take` gets every frame that is complete. Whether anything moved. `take` may send.
  bool poll(const std::function<void(int from, Frame frame)>& take);
  /// The peer is dead: what is under way to or from it is left behind, with its memory.
  void forget(int peer);
  /// Frames that have not left yet.
  bool sending() const;
  /// Peers that neither closed (their last frame is FrameKind::close) nor were forgotten.
  std::vector<int> open_peers() const;
  /// Handed to send() for other ranks, in all.
  std::int64_t sent_bytes() const { return sent_bytes_; }

 private:
  struct Outgoing {
    Frame frame;
    RequestPtr header, payload;
  };
  struct Peer {
    int rank = 0;
    std::unique_ptr<FrameHeader> header;  // its memory is the posted receive's
    RequestPtr header_request, payload_request;
    Payload payload;
    std::deque<std::unique_ptr<Outgoing>> outgoing;
    bool closed = false, forgotten = false;
  };
  Communicator& world_;
  PayloadPool pool_;
  std::map<int, Peer> peers_;
  std::deque<Frame> own_;          // to this rank itself
  std::int64_t sent_bytes_ = 0;

  void expect(Peer& peer);
  bool poll_arrivals(Peer& peer, const std::function<void(int, Frame)>& take);
  bool poll_departures(Peer& peer);
  void leave_behind(Peer& peer);
};

}  // namespace convoy
