#pragma once
// Small messages between any two ranks that nobody waits for: beats, and questions for them. Neither call ever blocks,
// so a peer that is stopped or gone holds nobody up.
#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace convoy {

/// One thread at a time.
class Mailbox {
 public:
  /// Collective over all ranks of the world, whose size this is; its channel is apart from all others. PeerError where
  /// not all have come within the deadline. Goes before the World does.
  Mailbox(int size, std::chrono::milliseconds deadline);
  /// Gives what was sent last a moment to leave.
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  /// Hands `bytes` over for `to`, another rank. Dropped where that rank has not taken the last ones for long, or is gone.
  void send(int to, std::string bytes);

  struct Letter {
    int from = 0;
    std::string bytes;
  };
  /// The next letter that has arrived.
  std::optional<Letter> receive();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace convoy
