#include "distributed/polled_communicator.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <exception>
#include <numeric>
#include <type_traits>

#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "distributed/backoff.h"

namespace convoy {
namespace {

constexpr std::chrono::milliseconds kDefaultDeadline = std::chrono::seconds(600);
constexpr std::chrono::milliseconds kLongestGrace = std::chrono::seconds(5);

// Tags of the collectives, above those of send() and receive(). One for each kind: ranks that disagree about
// which collective comes next then wait for each other by name instead of taking each other's bytes.
constexpr int kUserTags = 1 << 20;
enum CollectiveTag { kBarrier = kUserTags, kBroadcast, kGather, kAllToAll, kReduce };

void check_tag(int tag) {
  if (tag < 0 || tag >= kUserTags) {
    throw Error(fmt::format("message tag {}: expected 0 <= tag < {}", tag, kUserTags));
  }
}

std::string describe(const WaitSite& site) {
  const std::string what = site.purpose.empty() ? "a message" : site.purpose;
  return site.step < 0 ? what : fmt::format("{} of step {}", what, site.step);
}

template <typename T>
T combine(T a, T b, ReduceOp op) {
  switch (op) {
    case ReduceOp::sum:
      return a + b;
    case ReduceOp::min:
      return std::min(a, b);
    case ReduceOp::max:
      return std::max(a, b);
    case ReduceOp::bit_xor:
      if constexpr (std::is_integral_v<T>) return a ^ b;
      break;
  }
  throw Error("all_reduce: bit_xor is defined for integers, found floating point values");
}

}  // namespace

void WaitSite::throw_silent(int peer, std::chrono::nanoseconds waited) const {
  const double seconds = std::chrono::duration<double>(waited).count();
  const int world_peer = world_ranks[static_cast<std::size_t>(peer)];
  throw PeerError(fmt::format("rank {} waited {:.{}f} s for rank {} in {}",
                              world_ranks[static_cast<std::size_t>(rank)], seconds, seconds < 10 ? 1 : 0,
                              world_peer, describe(*this)),
                  world_peer);
}

void WaitSite::throw_interrupted() const {
  throw PeerError(
      fmt::format("rank {}: {} was interrupted", world_ranks[static_cast<std::size_t>(rank)], describe(*this)));
}

PolledRequest::~PolledRequest() { assert(done_ || abandoned_ || std::uncaught_exceptions() > 0); }

bool PolledRequest::test() {
  if (done_) return true;
  if (site_.interruption->any()) site_.throw_interrupted();
  done_ = poll();
  return done_;
}

void PolledRequest::wait(std::chrono::milliseconds grace) {
  if (test()) return;
  const trace::Doing waiting(trace::Activity::peer, site_.purpose.empty() ? "a message" : site_.purpose,
                             static_cast<std::int64_t>(bytes_), site_.world_ranks[static_cast<std::size_t>(peer_)]);
  Backoff backoff;
  while (!test()) {
    if (backoff.waited() > std::chrono::milliseconds(*site_.deadline_ms) + grace) {
      site_.throw_silent(peer_, backoff.waited());
    }
    backoff.pause();
  }
}

void PolledCommunicator::open(int rank, int size) {
  site_.rank = rank;
  site_.world_ranks.resize(static_cast<std::size_t>(size));
  std::iota(site_.world_ranks.begin(), site_.world_ranks.end(), 0);
  site_.deadline_ms = std::make_shared<std::atomic<std::int64_t>>(kDefaultDeadline.count());
}

std::unique_ptr<Communicator> PolledCommunicator::split(int color, int key) {
  if (color < 0) throw Error(fmt::format("Communicator::split: color {}, expected 0 or more", color));
  struct Place {
    int color, key;
  };
  const Place mine{color, key};
  std::vector<Place> places(static_cast<std::size_t>(size()));
  all_gather(&mine, sizeof mine,
             places.data());  // with a deadline: afterwards everybody is known to be present
  std::vector<int> members;
  for (int r = 0; r < size(); ++r) {
    if (places[static_cast<std::size_t>(r)].color == color) members.push_back(r);
  }
  std::stable_sort(members.begin(), members.end(), [&](int a, int b) {
    return places[static_cast<std::size_t>(a)].key < places[static_cast<std::size_t>(b)].key;
  });
  auto group = make_group(color, key, members);
  WaitSite& site = group->site_;
  site.rank = static_cast<int>(std::find(members.begin(), members.end(), rank()) - members.begin());
  for (const int member : members)
    site.world_ranks.push_back(site_.world_ranks[static_cast<std::size_t>(member)]);
  site.deadline_ms = site_.deadline_ms;
  site.interruption->above = site_.interruption;
  return group;
}

void PolledCommunicator::at(std::string_view purpose, std::int64_t step) {
  site_.purpose.assign(purpose);
  site_.step = step;
}

void PolledCommunicator::set_deadline(std::chrono::milliseconds deadline) {
  *site_.deadline_ms = deadline.count();
}

std::chrono::milliseconds PolledCommunicator::deadline() const {
  return std::chrono::milliseconds(*site_.deadline_ms);
}

std::chrono::milliseconds PolledCommunicator::grace() const { return std::min(deadline() / 2, kLongestGrace); }

RequestPtr PolledCommunicator::send(const void* data, std::size_t bytes, int peer, int tag) {
  check_tag(tag);
  return start_send(data, bytes, peer, tag);
}

RequestPtr PolledCommunicator::receive(void* data, std::size_t bytes, int peer, int tag) {
  check_tag(tag);
  return start_receive(data, bytes, peer, tag);
}

void PolledCommunicator::barrier() {
  if (rank() != 0) {
    start_send(nullptr, 0, 0, kBarrier)->wait();
    start_receive(nullptr, 0, 0, kBarrier)->wait(grace());
    return;
  }
  for (int r = 1; r < size(); ++r) start_receive(nullptr, 0, r, kBarrier)->wait();
  for (int r = 1; r < size(); ++r) start_send(nullptr, 0, r, kBarrier)->wait();
}

void PolledCommunicator::broadcast(void* data, std::size_t bytes, int root) {
  // Ranks counted from the root; rank i receives from i without its lowest bit, and sends to i + every lower
  // bit.
  const int self = (rank() - root + size()) % size();
  int lowest = 1;
  while (lowest < size() && (self & lowest) == 0) lowest *= 2;
  if (self != 0) start_receive(data, bytes, (self - lowest + root) % size(), kBroadcast)->wait(grace());
  std::vector<PolledRequestPtr> sends;
  for (int bit = lowest / 2; bit > 0; bit /= 2) {
    if (self + bit < size()) sends.push_back(start_send(data, bytes, (self + bit + root) % size(), kBroadcast));
  }
  for (auto& send : sends) send->wait();
}

void PolledCommunicator::all_gather(const void* mine, std::size_t bytes, void* all) {
  auto* const parts = static_cast<std::byte*>(all);
  if (bytes > 0) std::memcpy(parts + static_cast<std::size_t>(rank()) * bytes, mine, bytes);
  if (rank() != 0) {
    start_send(mine, bytes, 0, kGather)->wait();
  } else {
    std::vector<PolledRequestPtr> receives;
    for (int r = 1; r < size(); ++r) {
      receives.push_back(start_receive(parts + static_cast<std::size_t>(r) * bytes, bytes, r, kGather));
    }
    for (auto& receive : receives) receive->wait();
  }
  broadcast(all, bytes * static_cast<std::size_t>(size()), 0);
}

void PolledCommunicator::all_to_all(const void* mine, std::size_t bytes_each, void* theirs) {
  const auto* const out = static_cast<const std::byte*>(mine);
  auto* const in = static_cast<std::byte*>(theirs);
  const auto offset = [&](int r) { return static_cast<std::size_t>(r) * bytes_each; };
  if (bytes_each > 0) std::memcpy(in + offset(rank()), out + offset(rank()), bytes_each);
  std::vector<PolledRequestPtr> requests;
  for (int distance = 1; distance < size(); ++distance) {
    const int from = (rank() - distance + size()) % size();
    requests.push_back(start_receive(in + offset(from), bytes_each, from, kAllToAll));
  }
  for (int distance = 1; distance < size(); ++distance) {
    const int to = (rank() + distance) % size();
    requests.push_back(start_send(out + offset(to), bytes_each, to, kAllToAll));
  }
  for (auto& request : requests) request->wait();
}

template <typename T>
void PolledCommunicator::all_reduce_values(std::span<T> values, ReduceOp op) {
  if (op == ReduceOp::bit_xor) combine(T{}, T{}, op);  // refuses on every rank, before anybody waits
  if (rank() != 0) {
    start_send(values.data(), values.size_bytes(), 0, kReduce)->wait();
  } else {
    std::vector<T> others(values.size() * static_cast<std::size_t>(size() - 1));
    std::vector<PolledRequestPtr> receives;
    for (int r = 1; r < size(); ++r) {
      receives.push_back(start_receive(others.data() + static_cast<std::size_t>(r - 1) * values.size(),
                                       values.size_bytes(), r, kReduce));
    }
    for (std::size_t r = 0; r < receives.size(); ++r) {
      receives[r]->wait();
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = combine(values[i], others[r * values.size() + i], op);
      }
    }
  }
  broadcast(values.data(), values.size_bytes(), 0);
}

void PolledCommunicator::all_reduce(std::span<double> values, ReduceOp op) { all_reduce_values(values, op); }
void PolledCommunicator::all_reduce(std::span<std::int64_t> values, ReduceOp op) {
  all_reduce_values(values, op);
}
void PolledCommunicator::all_reduce(std::span<std::uint64_t> values, ReduceOp op) {
  all_reduce_values(values, op);
}

}  // namespace convoy
