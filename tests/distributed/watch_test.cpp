// Who is to blame, given beats: no process, no clock.
#include <gtest/gtest.h>

#include "core/tensor/error.h"
#include "distributed/watch/judge.h"
#include "distributed/watch/words.h"

namespace convoy {
namespace {

using trace::Activity;

constexpr std::int64_t kSecond = 1'000'000'000;

std::vector<Place> places(int ranks, int per_machine = 100) {
  std::vector<Place> all;
  for (int rank = 0; rank < ranks; ++rank) {
    const std::string host = "host" + std::to_string(rank / per_machine);
    all.push_back({host, host + " boot", 100 + rank});
  }
  return all;
}

LaneBeat computes(const std::string& what, double seconds, const std::string& thread = "worker 0") {
  return {thread, Activity::compute, what, -1, 9, seconds};
}
LaneBeat waits_for(int peer, double seconds, const std::string& what = "gradient bucket 0") {
  return {"communication", Activity::peer, what, peer, 9, seconds};
}

Beat beat(std::vector<LaneBeat> lanes, ProcessState neighbour = ProcessState::runs) {
  return {.step = 9, .neighbour = neighbour, .lanes = std::move(lanes)};
}

/// All ranks beat, then `seconds` pass, all but those of `silent` beating each second.
void live(Roll& roll, int seconds, const std::vector<int>& silent) {
  for (int second = 0; second < seconds; ++second) {
    roll.pass(1);
    for (int rank = 0; rank < roll.size(); ++rank)
      if (std::find(silent.begin(), silent.end(), rank) == silent.end()) {
        Beat next = roll.of(rank).beat;
        const int neighbour = roll.neighbour_of(rank);
        if (neighbour >= 0 && roll.of(neighbour).process != ProcessState::unknown)
          next.neighbour = roll.of(neighbour).process;
        for (LaneBeat& lane : next.lanes) lane.seconds += 1;
        roll.heard(rank, next);
      }
  }
}

const std::vector<int> kOthers{1, 2, 3};

TEST(AwakeClock, CountsNoTimeInWhichTheProcessWasStopped) {
  AwakeClock clock(0, 1.5);
  EXPECT_DOUBLE_EQ(clock.tick(kSecond), 1.0);
  EXPECT_DOUBLE_EQ(clock.tick(61 * kSecond), 1.5);
  EXPECT_DOUBLE_EQ(clock.tick(62 * kSecond), 1.0);
  EXPECT_DOUBLE_EQ(clock.seconds_since(0), 3.5);
  EXPECT_DOUBLE_EQ(clock.seconds_since(61 * kSecond), 1.0);
}

TEST(Beat, ComesOutOfItsBytesAsItWentIn) {
  const Beat in{.leaving = true,
                .step = 12,
                .step_seconds = 1.25,
                .neighbour = ProcessState::traced,
                .lanes = {computes("conv1 convolution", 2.5), waits_for(3, 0.125)}};
  const Beat out = unpack(pack(in));
  EXPECT_TRUE(out.leaving);
  EXPECT_EQ(out.step, 12);
  EXPECT_DOUBLE_EQ(out.step_seconds, 1.25);
  EXPECT_EQ(out.neighbour, ProcessState::traced);
  ASSERT_EQ(out.lanes.size(), 2U);
  EXPECT_EQ(out.lanes[0].thread, "worker 0");
  EXPECT_EQ(out.lanes[0].what, "conv1 convolution");
  EXPECT_EQ(out.lanes[1].activity, Activity::peer);
  EXPECT_EQ(out.lanes[1].peer, 3);
  EXPECT_EQ(out.lanes[1].step, 9);
  EXPECT_DOUBLE_EQ(out.lanes[1].seconds, 0.125);
}

TEST(Beat, ThatBreaksOffIsRefused) {
  const std::string bytes = pack(beat({computes("conv1", 1)}));
  EXPECT_THROW(unpack(bytes.substr(0, bytes.size() - 3)), DataError);
  EXPECT_THROW(unpack("x" + bytes), DataError);
}

TEST(Beat, HoldsTheMostTellingThreadsOfMany) {
  const AwakeClock clock(100 * kSecond, 1.5);
  std::vector<trace::Lane> lanes;
  for (int i = 0; i < 30; ++i)
    lanes.push_back({"pool " + std::to_string(i), 1, {{.clock = 0, .activity = Activity::idle}}});
  lanes.push_back({"main", 1, {{.clock = 99 * kSecond, .activity = Activity::idle, .what = "the workers"}}});
  lanes.push_back({"loader 1", 1, {{.clock = 10 * kSecond, .activity = Activity::input}}});
  lanes.push_back({"worker 1", 1, {{.clock = 98 * kSecond, .activity = Activity::compute}}});
  lanes.push_back({"communication", 1, {{.clock = 97 * kSecond, .peer = 2, .activity = Activity::peer}}});
  const std::vector<LaneBeat> beats = beats_of(lanes, clock);
  ASSERT_EQ(beats.size(), kLanesPerBeat);
  EXPECT_EQ(beats[0].thread, "communication");
  EXPECT_DOUBLE_EQ(beats[0].seconds, 3);
  EXPECT_EQ(beats[1].thread, "worker 1");
  EXPECT_EQ(beats[2].thread, "loader 1");
  EXPECT_EQ(beats[3].thread, "main");
}

TEST(Roll, NeighboursAreTheNextOnTheSameMachineRoundAbout) {
  const Roll roll(places(5, 2));
  EXPECT_EQ(roll.neighbour_of(0), 1);
  EXPECT_EQ(roll.neighbour_of(1), 0);
  EXPECT_EQ(roll.neighbour_of(3), 2);
  EXPECT_EQ(roll.neighbour_of(4), -1);
}

TEST(Suspicion, FallsOnNobodyWhileAllBeat) {
  Roll roll(places(4));
  live(roll, 100, {});
  EXPECT_FALSE(find_suspicion(roll, {}, kOthers));
}

TEST(Suspicion, FallsAtOnceOnARankWhoseProcessIsGone) {
  Roll roll(places(4));
  live(roll, 3, {});
  roll.heard(1, beat({}, ProcessState::gone));
  EXPECT_EQ(find_suspicion(roll, {}, kOthers), (Suspicion{2, Fault::died}));
}

TEST(Suspicion, SparesARankThatSaidThatItLeaves) {
  Roll roll(places(4));
  live(roll, 3, {});
  Beat last = beat({});
  last.leaving = true;
  roll.heard(2, last);
  roll.heard(1, beat({}, ProcessState::gone));
  live(roll, 100, {2});
  EXPECT_FALSE(find_suspicion(roll, {}, kOthers));
}

TEST(Suspicion, FallsOnAStoppedRankOnlyAfterTenSeconds) {
  Roll roll(places(4));
  for (int rank = 0; rank < 4; ++rank) roll.heard(rank, beat({}));
  roll.heard(1, beat({}, ProcessState::stopped));
  live(roll, 9, {2});
  EXPECT_FALSE(find_suspicion(roll, {}, kOthers));
  live(roll, 1, {2});
  EXPECT_EQ(find_suspicion(roll, {}, kOthers), (Suspicion{2, Fault::stopped}));
  EXPECT_FALSE(find_suspicion(roll, {}, kOthers, 4));
}

TEST(Suspicion, FallsOnARankOfASilentMachineAfterTenSeconds) {
  Roll roll(places(4, 2));
  live(roll, 2, {});
  live(roll, 9, {2, 3});
  EXPECT_FALSE(find_suspicion(roll, {}, kOthers));
  live(roll, 2, {2, 3});
  EXPECT_EQ(find_suspicion(roll, {}, kOthers), (Suspicion{2, Fault::cut_off}));
}

TEST(Suspicion, GivesARankWhoseProcessLivesThirtySeconds) {
  Roll roll(places(4));
  for (int rank = 0; rank < 4; ++rank) roll.heard(rank, beat({}));
  live(roll, 29, {2});
  EXPECT_FALSE(find_suspicion(roll, {}, kOthers));
  live(roll, 2, {2});
  EXPECT_EQ(find_suspicion(roll, {}, kOthers), (Suspicion{2, Fault::mute}));
}

TEST(Stalls, AreNoneWhereWaitsAreShort) {
  Roll roll(places(4));
  roll.heard(0, beat({waits_for(1, 29)}));
  roll.heard(1, beat({computes("conv1 convolution", 29)}));
  EXPECT_TRUE(find_stalls(roll, {}).empty());
}

TEST(Stalls, AreTracedThroughAChainOfWaitsToTheRankThatWaitsForNobody) {
  Roll roll(places(4));
  roll.heard(0, beat({waits_for(3, 40)}));
  roll.heard(3, beat({waits_for(1, 38)}));
  roll.heard(1, beat({computes("conv1 convolution", 41)}));
  roll.heard(2, beat({waits_for(1, 39)}));
  const auto stalls = find_stalls(roll, {});
  ASSERT_EQ(stalls.size(), 1U);
  EXPECT_EQ(stalls[0].roots, std::vector<int>{1});
  EXPECT_DOUBLE_EQ(stalls[0].seconds, 40);
}

TEST(Stalls, FollowNoWaitThatMayBeOver) {
  Roll roll(places(3));
  roll.heard(0, beat({waits_for(1, 40)}));
  roll.heard(1, beat({computes("conv1 convolution", 40), waits_for(2, 0.5)}));
  roll.heard(2, beat({computes("conv1 convolution", 1)}));
  EXPECT_EQ(find_stalls(roll, {}).at(0).roots, std::vector<int>{1});
}

TEST(Stalls, EndAtASilentRankWhateverItWaitedForOnce) {
  Roll roll(places(3));
  roll.heard(0, beat({waits_for(1, 40)}));
  roll.heard(1, beat({waits_for(2, 40)}));
  roll.heard(2, beat({computes("conv1 convolution", 1)}));
  live(roll, 5, {1});
  EXPECT_EQ(find_stalls(roll, {}).at(0).roots, std::vector<int>{1});
}

TEST(Stalls, RoundAboutNameAllThatWaitForEachOther) {
  Roll roll(places(4));
  roll.heard(0, beat({waits_for(2, 50, "barrier")}));
  roll.heard(1, beat({waits_for(2, 45)}));
  roll.heard(2, beat({waits_for(1, 44, "agreement on the checkpoint")}));
  const auto stalls = find_stalls(roll, {});
  ASSERT_EQ(stalls.size(), 1U);
  EXPECT_EQ(stalls[0].roots, (std::vector<int>{1, 2}));
  const std::string text = late_text(roll, stalls, std::chrono::seconds(600));
  EXPECT_NE(text.find("ranks 1, 2 wait for each other: rank 1 for rank 2 in gradient bucket 0 of step 9, since 45 s; "
                      "rank 2 for rank 1 in agreement on the checkpoint of step 9, since 44 s; a mismatch"),
            text.npos)
      << text;
}

TEST(Stalls, OfARankThatIsBlamedPreferTheWayOutOfARound) {
  Roll roll(places(4));
  roll.heard(0, beat({waits_for(1, 50)}));
  roll.heard(1, beat({waits_for(0, 45), waits_for(3, 44)}));
  roll.heard(3, beat({computes("conv1 convolution", 60)}));
  EXPECT_EQ(find_stalls(roll, {}).at(0).roots, std::vector<int>{3});
}

TEST(Stalls, OnFilesCountThoughNobodyWaits) {
  Roll roll(places(1));
  roll.heard(0, beat({{"main", Activity::input, "samples", -1, 9, 31}, {"loader 0", Activity::input, "train-00002.h5", -1, 9, 30}}));
  const auto stalls = find_stalls(roll, {});
  ASSERT_EQ(stalls.size(), 1U);
  EXPECT_EQ(late_text(roll, stalls, std::chrono::seconds(600)),
            "rank 0 (host host0, pid 100) is late: step 9, input: samples for 31 s (main), input: train-00002.h5 for 30 s "
            "(loader 0); nobody waits for it yet; the run goes on; it ends when a wait reaches 600 s (--timeout)");
}

TEST(StallNews, AreToldOnceThenAtEachDoublingAndAnewForAnotherStall) {
  StallNews news({});
  const auto told = [&](double seconds, int root) { return news.worth_telling({{{root}, seconds}}); };
  EXPECT_TRUE(told(30, 1));
  EXPECT_FALSE(told(31, 1));
  EXPECT_FALSE(told(59, 1));
  EXPECT_TRUE(told(60, 1));
  EXPECT_FALSE(told(61, 2));  // the cause may waver from beat to beat
  EXPECT_FALSE(told(119, 1));
  EXPECT_TRUE(told(120, 1));
  EXPECT_TRUE(told(150, 2));
  EXPECT_FALSE(news.worth_telling({}));
  EXPECT_TRUE(told(30, 1));
}

TEST(Words, OfAVerdictNameWhoWhereDoingWhatSinceWhenAndWhoWaits) {
  Roll roll(places(5));
  roll.heard(0, beat({waits_for(1, 0.3)}));
  roll.heard(2, beat({waits_for(1, 0.2)}));
  roll.heard(3, beat({waits_for(2, 0.1, "barrier")}));
  roll.heard(1, beat({computes("conv1 convolution", 0.5), {"main", Activity::idle, "the workers", -1, 9, 2}}));
  roll.saw(1, ProcessState::stopped);
  live(roll, 10, {1});
  EXPECT_EQ(verdict_text(roll, {1, Fault::stopped}),
            "rank 1 (host host0, pid 101) is stopped (SIGSTOP): no beat for 10 s; 10 s ago it was in step 9, compute: "
            "conv1 convolution for 0.5 s (worker 0); ranks 0, 2 wait for it in gradient bucket 0 of step 9, since 10 s; behind "
            "them rank 3");
}

TEST(Words, OfAVerdictTakeWhatWasRecalledIfItIsNewerThanTheLastBeat) {
  Roll roll(places(2));
  roll.heard(1, beat({computes("conv1 convolution", 0.5)}));
  live(roll, 10, {1});
  roll.recalled(1, {.step = 8}, 11);
  EXPECT_NE(verdict_text(roll, {1, Fault::stopped}).find("10 s ago it was in step 9, compute"), std::string::npos);
  roll.recalled(1, {.step = 11, .lanes = {computes("conv2 convolution", 0.1)}}, 9.4);
  EXPECT_EQ(verdict_text(roll, {1, Fault::stopped}),
            "rank 1 (host host0, pid 101) is stopped (SIGSTOP): no beat for 10 s; 9.4 s ago it was in step 11, compute: conv2 "
            "convolution for 0.1 s (worker 0); nobody waits for it yet");
}

TEST(Words, OfARankWithoutWorkTellWhatItsMainThreadDidLast) {
  Roll roll(places(2));
  roll.heard(1, beat({{"main", Activity::idle, "the workers", -1, 9, 33}, {"worker 0", Activity::idle, "", -1, 9, 40}}));
  EXPECT_EQ(what_it_does(roll, 1), "step 9, idle: the workers for 33 s (main)");
}

TEST(Words, OfAnExplanationFollowTheWaitsToTheRankToBlame) {
  Roll roll(places(3));
  roll.heard(0, beat({waits_for(1, 5)}));
  roll.heard(1, beat({waits_for(2, 5)}));
  roll.heard(2, beat({computes("conv1 convolution", 6)}));
  int rank = 1;
  EXPECT_EQ(explanation(roll, {}, rank),
            "rank 1 in turn waits, in the end for rank 2; rank 2 (host host0, pid 102): step 9, compute: conv1 convolution "
            "for 6.0 s (worker 0)");
  EXPECT_EQ(rank, 2);
}

TEST(Words, OfAnExplanationSayThatTheRankIsStopped) {
  Roll roll(places(2));
  roll.heard(0, beat({waits_for(1, 5)}));
  roll.heard(1, beat({computes("conv1 convolution", 1)}));
  roll.saw(1, ProcessState::stopped);
  live(roll, 3, {1});
  int rank = 1;
  EXPECT_NE(explanation(roll, {}, rank).find("is stopped (SIGSTOP): no beat for 3.0 s"), std::string::npos);
}

}  // namespace
}  // namespace convoy
