// The parameter server's parts: who begins which unit, the order of pushes and pulls, frames, and sums of slices.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include "core/tensor/error.h"
#include "distributed/server/order.h"
#include "distributed/server/parameter_server.h"
#include "distributed/server/post_office.h"
#include "distributed/server/sequencer.h"
#include "distributed/server/slice_math.h"
#include "distributed/server/units.h"
#include "support/on_ranks.h"

namespace convoy {
namespace {

using Kind = Decision::Kind;

TEST(Units, AreBegunInOrderExpectedOnceAndGivenBackFirst) {
  Units units(6);
  EXPECT_EQ(units.begin(0, 6), 0);
  EXPECT_EQ(units.expect(0), 1);
  EXPECT_EQ(units.expect(0), 1);
  EXPECT_EQ(units.begin(1, 6), 2) << "1 is expected by worker 0";
  EXPECT_EQ(units.begin(0, 6), 1);
  units.give_back(2);
  EXPECT_EQ(units.begin(0, 6), 2);
  units.finish(1);
  EXPECT_EQ(units.watermark(), 0);
  EXPECT_EQ(units.above(), (std::set<std::int64_t>{1}));
  units.finish(0);
  EXPECT_EQ(units.watermark(), 2);
  EXPECT_EQ(units.finished(), 2);
}

TEST(Units, ThatASlowWorkerExpectsAreLeftToItOnlyWhileThereAreOthers) {
  Units units(3);
  EXPECT_EQ(units.begin(0, 3), 0);
  EXPECT_EQ(units.expect(0), 1);
  EXPECT_EQ(units.begin(1, 3), 2);
  EXPECT_EQ(units.begin(1, 3), 1) << "nothing else is left";
  EXPECT_EQ(units.begin(0, 3), std::nullopt);
}

TEST(Units, GoOnWhereACheckpointStood) {
  Units units(5);
  units.restore(1, {2, 3});
  EXPECT_EQ(units.begin(0, 5), 1);
  EXPECT_EQ(units.begin(0, 5), 4);
  EXPECT_EQ(units.begin(0, 5), std::nullopt);
  units.finish(4);
  units.finish(1);
  EXPECT_TRUE(units.all_finished());
}

Push push_of(int worker, std::int64_t sequence, std::int64_t unit, std::int64_t pulled) {
  Push push{.worker = worker, .sequence = sequence, .units = {{unit, pulled}}};
  push.weight = 1;
  return push;
}

std::vector<Decision> of_kind(const std::vector<Decision>& all, Kind kind) {
  std::vector<Decision> found;
  std::ranges::copy_if(all, std::back_inserter(found), [&](const Decision& each) { return each.kind == kind; });
  return found;
}

TEST(Push, TravelsAsBytes) {
  Push push{.worker = 3, .sequence = 9, .units = {{4, 2}, {5, -1}}, .seen = {{1, 2, 3, 4}}, .finite = false, .loss = 0.5,
            .weight = 2, .top1 = 1, .top5 = 2, .input_seconds = 0.25, .pull_seconds = 0.125};
  const auto bytes = encode(push);
  const Push same = decode(bytes.data(), bytes.size());
  EXPECT_EQ(same.worker, 3);
  EXPECT_EQ(same.units[1].pulled, -1);
  EXPECT_EQ(same.seen[0].exclusive_or, 4u);
  EXPECT_FALSE(same.finite);
  EXPECT_EQ(same.pull_seconds, 0.125);
  EXPECT_THROW(decode(bytes.data(), bytes.size() - 1), Error);
}

TEST(Sequencer, AppliesAPushOnlyWhenAllItsSlicesAreThere) {
  Sequencer sequencer({.servers = 2, .workers = 1, .virtual_workers = 1, .units = 4});
  sequencer.request(0, true, true, 0);
  const auto first = sequencer.decide();
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].kind, Kind::pull) << "the pull stands in the order before the answer";
  EXPECT_EQ(first[1].kind, Kind::go);
  EXPECT_EQ(first[1].unit, 0);
  EXPECT_EQ(first[1].expect, 1);
  sequencer.arrived(0, 0);
  EXPECT_TRUE(sequencer.decide().empty());
  sequencer.described(push_of(0, 0, 0, 0));
  EXPECT_TRUE(sequencer.decide().empty());
  sequencer.arrived(0, 0);
  const auto applied = sequencer.decide();
  ASSERT_EQ(applied.size(), 1u);
  EXPECT_EQ(applied[0].kind, Kind::apply);
  EXPECT_EQ(applied[0].version, 0);
  EXPECT_EQ(applied[0].version_after, 1);
  EXPECT_EQ(sequencer.version(), 1);
}

TEST(Sequencer, CountsStalenessInVersions) {
  Sequencer sequencer({.servers = 1, .workers = 2, .virtual_workers = 1, .units = 8});
  for (const int worker : {0, 1}) sequencer.request(worker, true, true, 0);
  sequencer.decide();
  for (const int worker : {0, 1}) {
    sequencer.described(push_of(worker, 0, worker, 0));
    sequencer.arrived(worker, 0);
  }
  const auto applied = sequencer.decide();
  ASSERT_EQ(applied.size(), 2u);
  EXPECT_EQ(applied[0].pushes[0].staleness, 0);
  EXPECT_EQ(applied[1].pushes[0].staleness, 1);
}

TEST(Sequencer, GivesADeadWorkersUnitsToOthers) {
  Sequencer sequencer({.servers = 2, .workers = 2, .virtual_workers = 1, .units = 3});
  for (const int worker : {0, 1}) sequencer.request(worker, true, true, 0);
  sequencer.decide();                 // units 0 and 1
  sequencer.described(push_of(1, 0, 1, 0));
  sequencer.arrived(1, 0);            // half of it
  sequencer.lose(1);
  sequencer.arrived(1, 0);            // what was still on its way counts no more
  EXPECT_TRUE(of_kind(sequencer.decide(), Kind::apply).empty());
  std::set<std::int64_t> begun;
  for (std::int64_t sequence = 0; sequence < 3; ++sequence) {
    sequencer.described(push_of(0, sequence, sequence == 0 ? 0 : *begun.rbegin(), 0));
    for (int slice = 0; slice < 2; ++slice) sequencer.arrived(0, sequence);
    sequencer.request(0, true, false, sequence + 1);
    for (const Decision& go : of_kind(sequencer.decide(), Kind::go)) {
      begun.clear();
      begun.insert(go.unit);
    }
  }
  EXPECT_TRUE(sequencer.is_over());
  EXPECT_EQ(sequencer.version(), 3);
  EXPECT_EQ(sequencer.alive(), 1);
}

TEST(Sequencer, LetsNobodyRunFurtherAheadThanTheGap) {
  Sequencer sequencer({.servers = 1, .workers = 2, .virtual_workers = 1, .units = 100, .max_gap = 2});
  std::int64_t begun = 0;
  for (std::int64_t i = 0; i < 10; ++i) {  // worker 1 never asks
    sequencer.request(0, true, false, begun);
    if (of_kind(sequencer.decide(), Kind::go).empty()) break;
    sequencer.described(push_of(0, begun, begun, 0));
    sequencer.arrived(0, begun++);
  }
  EXPECT_EQ(begun, 3) << "0, 1 and 2 ahead";
  sequencer.request(1, true, false, 1);
  EXPECT_EQ(of_kind(sequencer.decide(), Kind::go).size(), 2u) << "one has moved, so both may";
  sequencer.lose(1);
  sequencer.request(0, true, false, 20);
  EXPECT_EQ(of_kind(sequencer.decide(), Kind::go).size(), 1u) << "nobody is waited for who is dead";
}

TEST(Sequencer, AsksForWhatIsHeldBackBeforeItSaysTheEnd) {
  Sequencer sequencer({.servers = 1, .workers = 1, .virtual_workers = 1, .units = 2});
  sequencer.request(0, true, true, 0);
  sequencer.decide();
  sequencer.request(0, false, true, 1);
  sequencer.decide();
  sequencer.request(0, false, true, 2);
  EXPECT_EQ(of_kind(sequencer.decide(), Kind::flush).size(), 1u);
  sequencer.request(0, true, true, 2);
  EXPECT_TRUE(sequencer.decide().empty());
  Push both = push_of(0, 0, 0, 0);
  both.units.push_back({1, -1});
  sequencer.described(both);
  sequencer.arrived(0, 0);
  const auto decisions = sequencer.decide();
  EXPECT_EQ(of_kind(decisions, Kind::apply).size(), 1u);
  EXPECT_EQ(of_kind(decisions, Kind::end).size(), 1u);
}

TEST(Sequencer, InRoundsAppliesAllMicroBatchesOfAStepInTheirOrder) {
  Sequencer sequencer({.servers = 1, .workers = 2, .virtual_workers = 4, .units = 8, .max_gap = 0});
  std::int64_t sequence[2] = {0, 0};
  std::vector<std::int64_t> held;
  for (int i = 0; i < 4; ++i) {
    const int worker = i % 2;
    sequencer.request(worker, true, true, sequence[worker]);
    const auto go = of_kind(sequencer.decide(), Kind::go);
    ASSERT_EQ(go.size(), 1u);
    held.push_back(go[0].unit);
  }
  sequencer.request(0, true, true, 2);
  EXPECT_TRUE(sequencer.decide().empty()) << "the step has no more, and the next has not begun";
  for (int i = 3; i >= 0; --i) {  // in the wrong order
    sequencer.described(push_of(i % 2, sequence[i % 2], held[static_cast<std::size_t>(i)], 0));
    sequencer.arrived(i % 2, sequence[i % 2]++);
  }
  const auto decisions = sequencer.decide();
  ASSERT_GE(decisions.size(), 1u);
  ASSERT_EQ(decisions[0].kind, Kind::apply);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(decisions[0].pushes[i].units[0].unit, static_cast<std::int64_t>(i));
  EXPECT_EQ(of_kind(decisions, Kind::go).size(), 1u) << "who waited goes on with the next step";
}

TEST(Sequencer, InRoundsGivesBackWhatADeadWorkerHasPushed) {
  Sequencer sequencer({.servers = 1, .workers = 2, .virtual_workers = 2, .units = 2, .max_gap = 0});
  for (const int worker : {0, 1}) sequencer.request(worker, true, true, 0);
  sequencer.decide();
  sequencer.described(push_of(1, 0, 1, 0));
  sequencer.arrived(1, 0);
  EXPECT_TRUE(of_kind(sequencer.decide(), Kind::apply).empty()) << "half of the round";
  sequencer.lose(1);  // the servers forget its push
  sequencer.described(push_of(0, 0, 0, 0));
  sequencer.arrived(0, 0);
  sequencer.request(0, true, true, 1);
  const auto go = of_kind(sequencer.decide(), Kind::go);
  ASSERT_EQ(go.size(), 1u);
  EXPECT_EQ(go[0].unit, 1);
  sequencer.described(push_of(0, 1, 1, 0));
  sequencer.arrived(0, 1);
  const auto round = of_kind(sequencer.decide(), Kind::apply);
  ASSERT_EQ(round.size(), 1u);
  for (const Push& push : round[0].pushes) EXPECT_EQ(push.worker, 0);
}

TEST(Sequencer, WithBackupWorkersEndsARoundWithTheFirstAndDropsTheRest) {
  Sequencer sequencer({.servers = 1, .workers = 3, .virtual_workers = 2, .units = 6, .max_gap = 0, .backup = 1});
  for (const int worker : {0, 1, 2}) sequencer.request(worker, true, true, 0);
  ASSERT_EQ(of_kind(sequencer.decide(), Kind::go).size(), 3u);
  for (const int worker : {2, 1}) {
    sequencer.described(push_of(worker, 0, worker, 0));
    sequencer.arrived(worker, 0);
  }
  const auto round = of_kind(sequencer.decide(), Kind::apply);
  ASSERT_EQ(round.size(), 1u);
  EXPECT_EQ(round[0].left_out, (std::vector<std::int64_t>{0}));
  EXPECT_EQ(sequencer.units().finished(), 3);
  sequencer.described(push_of(0, 0, 0, 0));
  sequencer.arrived(0, 0);
  const auto late = sequencer.decide();
  ASSERT_EQ(of_kind(late, Kind::drop).size(), 1u);
  EXPECT_EQ(sequencer.dropped_units(), 1);
}

TEST(Sequencer, LeavesOutWhatMakesNoRoundAtTheRunsEnd) {
  Sequencer sequencer({.servers = 1, .workers = 1, .virtual_workers = 2, .units = 4, .max_gap = 0, .backup = 1});
  for (std::int64_t unit = 0; unit < 2; ++unit) {
    sequencer.request(0, true, true, unit);
    ASSERT_EQ(of_kind(sequencer.decide(), Kind::go).front().unit, unit);
    sequencer.described(push_of(0, unit, unit, 0));
    sequencer.arrived(0, unit);
  }
  const auto decisions = sequencer.decide();
  ASSERT_EQ(of_kind(decisions, Kind::drop).size(), 1u);
  EXPECT_EQ(of_kind(decisions, Kind::drop)[0].left_out, (std::vector<std::int64_t>{3})) << "2 was dropped by its round";
  EXPECT_TRUE(sequencer.is_over());
}

TEST(Sequencer, SkipsWhatIsNotFiniteWhereThatIsWanted) {
  for (const bool skips : {false, true}) {
    Sequencer sequencer({.servers = 1, .workers = 1, .virtual_workers = 1, .units = 1, .skips = skips});
    sequencer.request(0, true, true, 0);
    sequencer.decide();
    Push bad = push_of(0, 0, 0, 0);
    bad.finite = false;
    sequencer.described(bad);
    sequencer.arrived(0, 0);
    EXPECT_EQ(sequencer.decide().front().kind, skips ? Kind::drop : Kind::apply);
    EXPECT_EQ(sequencer.version(), skips ? 0 : 1);
    EXPECT_TRUE(sequencer.is_over());
  }
}

/// Random workers that die at random: every unit is applied once, in every mode.
TEST(Sequencer, AppliesEveryUnitOnceWhoeverDies) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const int workers = 1 + static_cast<int>(random() % 5), servers = 1 + static_cast<int>(random() % 3);
    const std::int64_t gap = seed % 3 == 0 ? 0 : seed % 3 == 1 ? -1 : 1 + random() % 3;
    Sequencer sequencer({.servers = servers, .workers = workers, .virtual_workers = 3, .units = 30, .max_gap = gap});
    struct Play {
      std::vector<std::int64_t> holds;
      std::int64_t computed = 0, sequence = 0;
      bool asks = true, alive = true;
    };
    std::vector<Play> plays(static_cast<std::size_t>(workers));
    std::map<std::int64_t, int> applied;
    int alive = workers;
    for (int turn = 0; turn < 20000 && !sequencer.is_over(); ++turn) {
      const int worker = static_cast<int>(random() % static_cast<unsigned>(workers));
      Play& play = plays[static_cast<std::size_t>(worker)];
      if (!play.alive) continue;
      if (alive > 1 && random() % 40 == 0) {
        play.alive = false;
        --alive;
        sequencer.lose(worker);
      } else if (play.asks) {
        play.asks = false;
        sequencer.request(worker, play.holds.empty(), true, play.computed);
      } else if (!play.holds.empty()) {
        sequencer.described(push_of(worker, play.sequence, play.holds.back(), sequencer.version()));
        play.holds.pop_back();
        ++play.computed;
        const int sent = random() % 50 == 0 && alive > 1 ? static_cast<int>(random() % static_cast<unsigned>(servers)) : servers;
        for (int slice = 0; slice < sent; ++slice) sequencer.arrived(worker, play.sequence);
        ++play.sequence;
        play.asks = true;
        if (sent < servers) {  // it dies in the midst of a push
          play.alive = false;
          --alive;
          sequencer.lose(worker);
        }
      }
      for (const Decision& decision : sequencer.decide()) {
        if (decision.kind == Kind::go) plays[static_cast<std::size_t>(decision.worker)].holds.push_back(decision.unit);
        if (decision.kind == Kind::flush) plays[static_cast<std::size_t>(decision.worker)].asks = true;
        for (const Push& push : decision.pushes) ++applied[push.units.front().unit];
      }
    }
    ASSERT_TRUE(sequencer.is_over()) << "seed " << seed;
    ASSERT_EQ(applied.size(), 30u) << "seed " << seed;
    for (const auto& [unit, times] : applied) ASSERT_EQ(times, 1) << "seed " << seed << ", unit " << unit;
  }
}

Payload bytes_of(PayloadPool& pool, std::size_t count, int seed) {
  Payload payload = pool.take(count);
  for (std::size_t i = 0; i < count; ++i) payload.as<std::uint8_t>()[i] = static_cast<std::uint8_t>(31 * i + static_cast<std::size_t>(seed));
  return payload;
}

TEST(PostOffice, CarriesFramesInOrderAlsoToItself) {
  on_ranks(3, [](Communicator& world) {
    PostOffice office(world, {0, 1, 2});
    PayloadPool pool;
    constexpr int kFrames = 50;
    for (int peer = 0; peer < 3; ++peer)
      for (int i = 0; i < kFrames; ++i)
        office.send(peer, {.header = {.kind = FrameKind::push, .worker = world.rank(), .sequence = i},
                           .payload = i % 3 == 0 ? Payload{} : bytes_of(pool, static_cast<std::size_t>(100 * i + 1), i)});
    for (int peer = 0; peer < 3; ++peer) office.send(peer, {.header = {.kind = FrameKind::close}, .payload = {}});
    std::vector<int> next(3, 0);
    while (!office.open_peers().empty() || office.sending())
      office.poll([&](int from, Frame frame) {
        if (frame.header.kind == FrameKind::close) return;
        EXPECT_EQ(frame.header.worker, from);
        const int i = next[static_cast<std::size_t>(from)]++;
        EXPECT_EQ(frame.header.sequence, i);
        ASSERT_EQ(frame.payload.bytes, i % 3 == 0 ? 0u : static_cast<std::size_t>(100 * i + 1));
        for (std::size_t at = 0; at < frame.payload.bytes; ++at)
          ASSERT_EQ(frame.payload.as<std::uint8_t>()[at], static_cast<std::uint8_t>(31 * at + static_cast<std::size_t>(i)));
      });
    EXPECT_EQ(next, (std::vector<int>{kFrames, kFrames, kFrames}));
  });
}

TEST(PostOffice, GoesOnWithoutAPeerThatIsGone) {
  on_ranks(3, [](Communicator& world) {
    if (world.rank() == 2) return;  // never there
    PostOffice office(world, {0, 1, 2});
    PayloadPool pool;
    office.send(2, {.header = {.kind = FrameKind::push}, .payload = bytes_of(pool, 1000, 0)});
    office.forget(2);
    office.send(2, {.header = {.kind = FrameKind::push}, .payload = bytes_of(pool, 1000, 0)});
    const int other = 1 - world.rank();
    office.send(other, {.header = {.kind = FrameKind::beat}, .payload = {}});
    office.send(other, {.header = {.kind = FrameKind::close}, .payload = {}});
    office.send(world.rank(), {.header = {.kind = FrameKind::close}, .payload = {}});
    int beats = 0;
    while (!office.open_peers().empty() || office.sending())
      office.poll([&](int, const Frame& frame) { beats += frame.header.kind == FrameKind::beat; });
    EXPECT_EQ(beats, 1);
  });
}

TEST(Order, TravelsInAFrame) {
  Order order{.kind = Order::Kind::apply, .worker = 4, .update = {.version = 7, .rate = 0.25, .pulled = 5, .pushes = {{1, 2}, {3, 4}}}};
  const Order same = decode_order(encode(order));
  EXPECT_EQ(same.kind, Order::Kind::apply);
  EXPECT_EQ(same.update.version, 7);
  EXPECT_EQ(same.update.rate, 0.25);
  EXPECT_EQ(same.update.pulled, 5);
  EXPECT_EQ(same.update.pushes, order.update.pushes);
}

/// w -= rate * sum; what it was pulled at is noted.
class PlainSlice final : public Slice {
 public:
  std::size_t parameters() const override { return 3; }
  std::size_t leaf() const override { return 4; }
  const float* values() const override { return values_; }
  void apply(const Update& update, float* sum, const float* pulled) override {
    for (int i = 0; i < 3; ++i) values_[i] -= static_cast<float>(update.rate) * sum[i];
    weight = sum[3];
    at = pulled ? pulled[0] : NAN;
  }
  std::size_t state() const override { return 3; }
  void write_state(float* to) const override { std::copy_n(values_, 3, to); }
  float weight = 0, at = 0;

 private:
  float values_[3] = {10, 20, 30};
};

Payload floats_of(PayloadPool& pool, std::initializer_list<float> values) {
  Payload payload = pool.take(values.size() * sizeof(float));
  std::ranges::copy(values, payload.as<float>());
  return payload;
}

TEST(ParameterServer, AppliesPushesAndHandsOutWhatItHasThen) {
  PlainSlice slice;
  ParameterServer server(slice, true);
  PayloadPool pool;
  const Payload before = server.pull(0, 0);
  server.take({0, 0}, floats_of(pool, {1, 2, 3, 1}));
  server.apply({.version = 0, .rate = 2, .pulled = 0, .pushes = {{0, 0}}});
  EXPECT_EQ(slice.at, 10);
  EXPECT_EQ(before.as<float>()[0], 10) << "what was handed out does not move";
  EXPECT_EQ(server.pull(1, 1).as<float>()[0], 8);
  server.take({0, 1}, floats_of(pool, {1, 0, 0, 1}));
  server.take({1, 0}, floats_of(pool, {2, 0, 0, 4}));
  server.apply({.version = 1, .rate = 1, .pulled = 1, .pushes = {{0, 1}, {1, 0}}});
  EXPECT_EQ(slice.values()[0], 5);
  EXPECT_EQ(slice.weight, 5);
  EXPECT_THROW(server.apply({.version = 2, .pushes = {{0, 1}}}), Error) << "applied already";
  server.take({1, 1}, floats_of(pool, {1, 1, 1, 1}));
  server.forget(1);
  EXPECT_THROW(server.apply({.version = 2, .pushes = {{1, 1}}}), Error);
  EXPECT_EQ(server.state().as<float>()[0], 5);
}

TEST(SliceMath, SeesWhatIsNotFiniteAndCompensatesForDelay) {
  std::vector<float> values(1001, 1.0F);
  EXPECT_TRUE(all_finite(values.data(), values.size()));
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    values[1000] = bad;
    EXPECT_FALSE(all_finite(values.data(), values.size()));
  }
  float gradient[2] = {4, -2};  // of 2 samples
  const float now[2] = {1, 1}, pulled[2] = {0, 3};
  compensate(0.5F, 2, now, pulled, gradient, 2);
  EXPECT_FLOAT_EQ(gradient[0], 2 * (2 + 0.5F * 4 * 1));
  EXPECT_FLOAT_EQ(gradient[1], 2 * (-1 + 0.5F * 1 * -2));
}

}  // namespace
}  // namespace convoy
