#include "collective_checks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/tensor/error.h"

namespace convoy {
namespace {

std::size_t index(int i) { return static_cast<std::size_t>(i); }

}  // namespace

void check_broadcast(Communicator& world) {
  for (int root = 0; root < world.size(); ++root) {
    std::vector<int> values(1000, -1);
    if (world.rank() == root) std::iota(values.begin(), values.end(), root);
    world.broadcast(values.data(), values.size() * sizeof(int), root);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(values[index(i)], root + i) << "root " << root;
  }
}

void check_all_gather(Communicator& world) {
  const int mine[] = {world.rank(), 100 + world.rank()};
  std::vector<int> all(2 * index(world.size()), -1);
  world.all_gather(mine, sizeof mine, all.data());
  for (int r = 0; r < world.size(); ++r) {
    EXPECT_EQ(all[2 * index(r)], r);
    EXPECT_EQ(all[2 * index(r) + 1], 100 + r);
  }
}

void check_all_to_all(Communicator& world) {
  std::vector<int> mine(index(world.size())), theirs(index(world.size()), -1);
  for (int r = 0; r < world.size(); ++r) mine[index(r)] = 100 * world.rank() + r;
  world.all_to_all(mine.data(), sizeof(int), theirs.data());
  for (int r = 0; r < world.size(); ++r) EXPECT_EQ(theirs[index(r)], 100 * r + world.rank());
}

void check_all_reduce(Communicator& world) {
  const int ranks = world.size();
  std::int64_t counts[] = {world.rank() + 1, -world.rank()};
  world.all_reduce(counts, ReduceOp::sum);
  EXPECT_EQ(counts[0], ranks * (ranks + 1) / 2);
  EXPECT_EQ(counts[1], -ranks * (ranks - 1) / 2);
  double extremes[] = {world.rank() + 0.5};
  world.all_reduce(extremes, ReduceOp::max);
  EXPECT_EQ(extremes[0], ranks - 0.5);
  world.all_reduce(extremes, ReduceOp::min);
  EXPECT_EQ(extremes[0], ranks - 0.5);
  std::uint64_t bits[] = {std::uint64_t{1} << world.rank(), 7};
  world.all_reduce(bits, ReduceOp::bit_xor);
  EXPECT_EQ(bits[0], (std::uint64_t{1} << ranks) - 1);
  EXPECT_EQ(bits[1], ranks % 2 == 1 ? 7U : 0U);
  EXPECT_THROW(world.all_reduce(extremes, ReduceOp::bit_xor), Error);
}

void check_all_reduce_order(Communicator& world) {
  // Terms of such different size that any other order of additions gives other bits.
  const auto term = [](int r) { return std::ldexp(1.0 / 3.0, (r * 29) % 60); };
  double expected = term(0);
  for (int r = 1; r < world.size(); ++r) expected += term(r);
  double value[] = {term(world.rank())};
  world.all_reduce(value, ReduceOp::sum);
  EXPECT_EQ(value[0], expected);
}

void check_all_reduce_fast(Communicator& world) {
  std::vector<float> mine(1001), sum(mine.size(), -1.0F);
  for (std::size_t i = 0; i < mine.size(); ++i)
    mine[i] = static_cast<float>(i % 10) + static_cast<float>(world.rank());
  world.all_reduce_fast(std::span<const float>(mine), sum);
  for (std::size_t i = 0; i < mine.size(); ++i) {
    const auto ranks = static_cast<float>(world.size());
    ASSERT_EQ(sum[i], ranks * static_cast<float>(i % 10) + ranks * (ranks - 1) / 2) << "element " << i;
  }
  world.all_reduce_fast(mine);
  EXPECT_EQ(mine, sum);
}

void check_strings(Communicator& world) {
  const auto text = [](int r) { return std::string(index(r * 3), 'x') + std::to_string(r); };
  const auto all = world.all_gather_strings(text(world.rank()));
  ASSERT_EQ(all.size(), index(world.size()));
  for (int r = 0; r < world.size(); ++r) EXPECT_EQ(all[index(r)], text(r));
  const int root = world.size() - 1;
  EXPECT_EQ(world.broadcast_string(world.rank() == root ? "from the last" : "", root), "from the last");
}

void check_messages(Communicator& world) {
  // To the next rank, round the circle: two tags, each in order, received in the other order of tags.
  const int next = (world.rank() + 1) % world.size(),
            previous = (world.rank() + world.size() - 1) % world.size();
  const int out[] = {10 * world.rank(), 10 * world.rank() + 1, 10 * world.rank() + 2};
  int in[3] = {-1, -1, -1};
  std::vector<RequestPtr> requests;
  requests.push_back(world.receive(&in[2], sizeof(int), previous, 8));
  requests.push_back(world.receive(&in[0], sizeof(int), previous, 7));
  requests.push_back(world.receive(&in[1], sizeof(int), previous, 7));
  requests.push_back(world.send(&out[0], sizeof(int), next, 7));
  requests.push_back(world.send(&out[1], sizeof(int), next, 7));
  requests.push_back(world.send(&out[2], sizeof(int), next, 8));
  for (auto& request : requests) request->wait();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(in[i], 10 * previous + i);
  EXPECT_THROW(world.send(&out[0], sizeof(int), next, -1), Error);
  EXPECT_THROW(world.send(&out[0], sizeof(int), next, 1 << 20), Error);
}

void check_message_sizes(Communicator& world) {
  // Both ends throw or neither waits: with messages that MPI sends eagerly the sender need not notice.
  const int next = (world.rank() + 1) % world.size(),
            previous = (world.rank() + world.size() - 1) % world.size();
  const int out = 1;
  int in[2] = {};
  auto receive = world.receive(in, sizeof in, previous, 0);
  auto send = world.send(&out, sizeof out, next, 0);
  EXPECT_THROW(
      {
        auto expected_longer = std::move(receive);
        expected_longer->wait();
      },
      LibraryError);
  try {
    auto sent = std::move(send);
    sent->wait();
  } catch (const LibraryError&) {
  }
}

void check_split(Communicator& world) {
  // Odd and even ranks, each in reverse order.
  const auto part = world.split(world.rank() % 2, -world.rank());
  std::vector<int> members(index(part->size()));
  const int mine = world.rank();
  part->all_gather(&mine, sizeof mine, members.data());
  int expected = world.size() - 1;
  if (expected % 2 != world.rank() % 2) --expected;
  for (const int member : members) {
    EXPECT_EQ(member, expected);
    expected -= 2;
  }
  EXPECT_LT(expected, 0);
  EXPECT_EQ(members[index(part->rank())], world.rank());
  // Messages of two communicators do not mix, though ranks and tags are the same.
  const auto twin = world.split(0, world.rank());
  const int next = (world.rank() + 1) % world.size(),
            previous = (world.rank() + world.size() - 1) % world.size();
  const int out[] = {1, 2};
  int in[2] = {};
  std::vector<RequestPtr> requests;
  requests.push_back(world.send(&out[0], sizeof(int), next, 0));
  requests.push_back(twin->send(&out[1], sizeof(int), next, 0));
  requests.push_back(twin->receive(&in[1], sizeof(int), previous, 0));
  requests.push_back(world.receive(&in[0], sizeof(int), previous, 0));
  for (auto& request : requests) request->wait();
  EXPECT_EQ(in[0], 1);
  EXPECT_EQ(in[1], 2);
  EXPECT_THROW(world.split(-1, 0), Error);
}

void check_barrier(Communicator& world) {
  // What rank 0 sent before the barrier is there after it, without waiting.
  for (int round = 0; round < 20; ++round) {
    const int out = round;
    int in = -1;
    std::vector<RequestPtr> requests;
    if (world.rank() == 0) {
      for (int r = 0; r < world.size(); ++r) requests.push_back(world.send(&out, sizeof out, r, 3));
    }
    auto receive = world.receive(&in, sizeof in, 0, 3);
    receive->wait();
    world.barrier();
    EXPECT_EQ(in, round);
    for (auto& request : requests) EXPECT_TRUE(request->test()) << "round " << round;
  }
}

}  // namespace convoy
