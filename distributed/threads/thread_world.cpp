#include "distributed/threads/thread_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <compare>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>

#include "core/tensor/error.h"
#include "distributed/polled_communicator.h"

namespace convoy {
namespace {

/// Which messages match: those of one context (communicator), between two ranks, with one tag, first to first.
struct Route {
  int context, from, to, tag;
  auto operator<=>(const Route&) const = default;
};

/// One side of a message.
struct Post {
  void* data;
  std::size_t bytes;
  bool done = false;
  std::size_t peer_bytes = 0;  // what the other side posted
};

/// Where the threads meet.
class Hub {
 public:
  void send(const Route& route, Post& post) { meet(sends_, receives_, route, post, true); }
  void receive(const Route& route, Post& post) { meet(receives_, sends_, route, post, false); }

  bool done(const Post& post) {
    const std::lock_guard lock(mutex_);
    return post.done;
  }

  void withdraw(const Route& route, const Post& post) {
    const std::lock_guard lock(mutex_);
    std::erase(sends_[route], &post);
    std::erase(receives_[route], &post);
  }

  /// The context of the `sequence`-th split of `parent`, for one color: the same for all who ask.
  int context_of(int parent, int sequence, int color) {
    const std::lock_guard lock(mutex_);
    return contexts_.try_emplace({parent, sequence, color}, static_cast<int>(contexts_.size()) + 1)
        .first->second;
  }

 private:
  using Posts = std::map<Route, std::deque<Post*>>;

  void meet(Posts& mine, Posts& theirs, const Route& route, Post& post, bool sending) {
    const std::lock_guard lock(mutex_);
    auto& waiting = theirs[route];
    if (waiting.empty()) {
      mine[route].push_back(&post);
      return;
    }
    Post& other = *waiting.front();
    waiting.pop_front();
    const std::size_t bytes = std::min(post.bytes, other.bytes);
    if (bytes > 0)
      sending ? std::memcpy(other.data, post.data, bytes) : std::memcpy(post.data, other.data, bytes);
    post.peer_bytes = other.bytes;
    other.peer_bytes = post.bytes;
    post.done = other.done = true;
  }

  std::mutex mutex_;  // guards everything below, and every Post handed in
  Posts sends_, receives_;
  std::map<std::array<int, 3>, int> contexts_;
};

class ThreadRequest final : public PolledRequest {
 public:
  ThreadRequest(const WaitSite& site, int peer, std::shared_ptr<Hub> hub, const Route& route, const void* data,
                std::size_t bytes, bool sending)
      : PolledRequest(site, peer, bytes), hub_(std::move(hub)), route_(route), post_{const_cast<void*>(data), bytes} {
    sending ? hub_->send(route_, post_) : hub_->receive(route_, post_);
  }
  ~ThreadRequest() override {
    if (!done()) hub_->withdraw(route_, post_);
  }

 protected:
  bool poll() override {
    if (!hub_->done(post_)) return false;
    if (post_.peer_bytes != post_.bytes) {
      throw LibraryError(fmt::format("a message of {} bytes met one of {} bytes (rank {} to {}, tag {})",
                                     post_.bytes, post_.peer_bytes, route_.from, route_.to, route_.tag));
    }
    return true;
  }

 private:
  std::shared_ptr<Hub> hub_;
  Route route_;
  Post post_;
};

class ThreadCommunicator final : public PolledCommunicator {
 public:
  ThreadCommunicator(std::shared_ptr<Hub> hub, int rank, int size) : hub_(std::move(hub)) { open(rank, size); }
  ThreadCommunicator(std::shared_ptr<Hub> hub, int context) : hub_(std::move(hub)), context_(context) {}

  void all_reduce_fast(std::span<float> values) override {
    std::vector<float> all(values.size() * static_cast<std::size_t>(size()));
    all_gather(values.data(), values.size_bytes(), all.data());
    std::copy_n(all.begin(), values.size(), values.begin());
    for (std::size_t i = values.size(); i < all.size(); ++i) values[i % values.size()] += all[i];
  }
  void all_reduce_fast(std::span<const float> mine, std::span<float> sum) override {
    std::copy(mine.begin(), mine.end(), sum.begin());
    all_reduce_fast(sum);
  }

 protected:
  PolledRequestPtr start_send(const void* data, std::size_t bytes, int peer, int tag) override {
    return start(data, bytes, peer, Route{context_, rank(), peer, tag}, true);
  }
  PolledRequestPtr start_receive(void* data, std::size_t bytes, int peer, int tag) override {
    return start(data, bytes, peer, Route{context_, peer, rank(), tag}, false);
  }
  std::unique_ptr<PolledCommunicator> make_group(int color, int /*key*/, const std::vector<int>&) override {
    return std::make_unique<ThreadCommunicator>(hub_, hub_->context_of(context_, splits_++, color));
  }

 private:
  PolledRequestPtr start(const void* data, std::size_t bytes, int peer, const Route& route, bool sending) {
    if (peer < 0 || peer >= size()) {
      throw LibraryError(fmt::format("message to or from rank {} of {}", peer, size()));
    }
    return std::make_unique<ThreadRequest>(site(), peer, hub_, route, data, bytes, sending);
  }

  std::shared_ptr<Hub> hub_;
  int context_ = 0;
  int splits_ = 0;
};

}  // namespace

std::vector<std::unique_ptr<Communicator>> make_thread_world(int ranks) {
  auto hub = std::make_shared<Hub>();
  std::vector<std::unique_ptr<Communicator>> world;
  for (int r = 0; r < ranks; ++r) world.push_back(std::make_unique<ThreadCommunicator>(hub, r, ranks));
  return world;
}

}  // namespace convoy
