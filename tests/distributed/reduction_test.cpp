// The reducer on ranks that are threads: every V of interest, every R <= V.
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "core/tensor/error.h"
#include "reduction_checks.h"
#include "support/on_ranks.h"

namespace convoy {
namespace {

constexpr int kVirtualWorkers[] = {1, 2, 3, 4, 5, 6, 7, 8, 12, 16};

class Reducer : public testing::TestWithParam<int> {};

TEST_P(Reducer, GivesTheTreesBitsOnAnyNumberOfRanks) {
  for (int ranks = 1; ranks <= GetParam(); ++ranks) {
    SCOPED_TRACE(std::to_string(ranks) + " ranks");
    on_ranks(ranks, [](Communicator& world) {
      check_reduction(world, {.virtual_workers = GetParam(), .buckets = awkward_buckets(), .steps = 2});
    });
  }
}

TEST_P(Reducer, GivesTheTreesBitsForAnyThreadsAndOrder) {
  for (int ranks = 1; ranks <= std::min(GetParam(), 4); ++ranks) {
    for (int threads = 1; threads <= 3; ++threads) {
      SCOPED_TRACE(std::to_string(ranks) + " ranks of " + std::to_string(threads) + " threads");
      on_ranks(ranks, [&](Communicator& world) {
        check_reduction(world, {.virtual_workers = GetParam(),
                                .threads = threads,
                                .buckets = {65, 5},
                                .steps = 2,
                                .shuffled = true});
      });
    }
  }
}

TEST_P(Reducer, GivesTheTreesBitsWhereLastLeavesAreLent) {
  for (int ranks = 1; ranks <= std::min(GetParam(), 4); ++ranks) {
    for (int threads = 1; threads <= 3; ++threads) {
      SCOPED_TRACE(std::to_string(ranks) + " ranks of " + std::to_string(threads) + " threads");
      on_ranks(ranks, [&](Communicator& world) {
        check_reduction(world, {.virtual_workers = GetParam(),
                                .threads = threads,
                                .buckets = awkward_buckets(),
                                .steps = 3,
                                .shuffled = threads > 1,
                                .rounding = {SumRounding::bf16, SumRounding::none, SumRounding::none, SumRounding::none,
                                             SumRounding::bf16},
                                .lends = true});
      });
    }
  }
}

TEST_P(Reducer, GivesTheRoundedTreesBitsOnAnyNumberOfRanksAndThreads) {
  for (int ranks = 1; ranks <= std::min(GetParam(), 6); ++ranks) {
    for (int threads = 1; threads <= 2; ++threads) {
      SCOPED_TRACE(std::to_string(ranks) + " ranks of " + std::to_string(threads) + " threads");
      on_ranks(ranks, [&](Communicator& world) {
        check_reduction(world, {.virtual_workers = GetParam(),
                                .threads = threads,
                                .buckets = awkward_buckets(),
                                .steps = 2,
                                .shuffled = threads > 1,
                                .rounding = awkward_rounding()});
      });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(VirtualWorkers, Reducer, testing::ValuesIn(kVirtualWorkers));

TEST(ReducerMemory, ALeafThatIsLentTakesNoBuffer) {
  for (const int leaves : {1, 2}) {
    on_ranks(1, [&](Communicator& world) {
      ReducerOptions options{.virtual_workers = leaves, .bucket_elements = {4096}, .threads = leaves};
      const std::size_t copied = make_reducer(world, options)->memory_bytes();
      options.lends = {true};
      const auto reducer = make_reducer(world, options);
      std::vector<std::vector<float>> data(static_cast<std::size_t>(leaves), std::vector<float>(4096, 1.0F));
      for (int step = 0; step < 2; ++step) {
        reducer->begin(step);
        for (int leaf = 0; leaf < leaves; ++leaf) reducer->lend_bucket(leaf, 0, data[static_cast<std::size_t>(leaf)].data());
        reducer->finish();
        EXPECT_EQ(reducer->result(0).data(), data[0].data());
      }
      EXPECT_EQ(reducer->memory_bytes() + static_cast<std::size_t>(leaves) * 4096 * sizeof(float), copied);
    });
  }
}

TEST(ReducerChunks, BucketsOfSeveralChunksGiveTheTreesBits) {
  for (const int ranks : {2, 3, 4}) {
    on_ranks(ranks, [](Communicator& world) {
      check_reduction(world, {.virtual_workers = 4, .buckets = {1'700'003}});
    });
  }
}

TEST(ReducerChunks, RoundedBucketsOfSeveralChunksGiveTheTreesBits) {
  for (const int ranks : {2, 3, 4}) {
    on_ranks(ranks, [](Communicator& world) {
      check_reduction(world, {.virtual_workers = 4, .buckets = {1'700'003}, .rounding = {SumRounding::bf16}});
    });
  }
}

// Every one of the log2 V + 1 roundings on the way to the root is off by at most 2^-9 of what it rounds.
TEST(ReducerRounding, StaysWithinTheErrorThatTheTreesDepthAllows) {
  constexpr int kLeaves = 16, kElements = 500;
  on_ranks(2, [](Communicator& world) {
    const auto reducer = make_reducer(world, {.virtual_workers = kLeaves,
                                              .bucket_elements = {kElements},
                                              .rounding = {SumRounding::bf16}});
    reducer->begin(0);
    const auto [first, last] = share_of(world.rank(), 2, 0, kLeaves);
    std::vector<float> data(kElements);
    for (int leaf = first; leaf < last; ++leaf) {
      for (int i = 0; i < kElements; ++i) data[static_cast<std::size_t>(i)] = std::abs(leaf_value(0, leaf, 0, i));
      reducer->bucket_ready(leaf, 0, data.data());
    }
    reducer->finish();
    double largest_error = 0;
    for (int i = 0; i < kElements; ++i) {
      double exact = 0;
      for (int leaf = 0; leaf < kLeaves; ++leaf) exact += std::abs(static_cast<double>(leaf_value(0, leaf, 0, i)));
      const auto found = static_cast<double>(reducer->result(0)[static_cast<std::size_t>(i)]);
      largest_error = std::max(largest_error, std::abs(found - exact) / exact);
    }
    EXPECT_LT(largest_error, 5.5 * 0x1p-9);
    EXPECT_GT(largest_error, 0x1p-12) << "nothing was rounded";
  });
}

TEST(ReducerRounding, HalvesTheBytesThatAreSent) {
  for (const auto& [ranks, leaves] : {std::pair{2, 2}, {4, 8}, {3, 3}, {2, 7}}) {
    std::int64_t sent[2] = {};
    for (const SumRounding rounding : {SumRounding::none, SumRounding::bf16}) {
      on_ranks(ranks, [&, all = leaves, of = ranks](Communicator& world) {
        const auto reducer =
            make_reducer(world, {.virtual_workers = all, .bucket_elements = {4096}, .rounding = {rounding}});
        reducer->begin(0);
        const std::vector<float> data(4096, 1.0F);
        const auto [first, last] = share_of(world.rank(), of, 0, all);
        for (int leaf = first; leaf < last; ++leaf) reducer->bucket_ready(leaf, 0, data.data());
        reducer->finish();
        if (world.rank() == 0) sent[rounding == SumRounding::bf16] = reducer->sent_bytes();
      });
    }
    EXPECT_GT(sent[0], 4096 * 4 / 2);
    EXPECT_EQ(sent[0], 2 * sent[1]) << ranks << " ranks";
  }
}

TEST(ReducerRounding, IsRefusedWhereTheLibraryAdds) {
  on_ranks(2, [](Communicator& world) {
    EXPECT_THROW(make_reducer(world, {.kind = ReductionKind::fast,
                                      .virtual_workers = 2,
                                      .bucket_elements = {8},
                                      .rounding = {SumRounding::bf16}}),
                 UsageError);
  });
}

TEST(ReducerFast, SumsWithinRounding) {
  for (const int ranks : {1, 2, 3}) {
    on_ranks(ranks, [](Communicator& world) {
      check_reduction(world, {.virtual_workers = 7,
                              .threads = 2,
                              .buckets = awkward_buckets(),
                              .steps = 2,
                              .kind = ReductionKind::fast});
    });
  }
}

TEST(ReducerZeros, MissingLeavesAreNotAddedAsZero) {
  // -0 + 0 is +0: had a zero been added anywhere, the sign would be gone.
  for (const int leaves : {3, 5, 6}) {
    on_ranks(2, [&](Communicator& world) {
      const auto reducer = make_reducer(world, {.virtual_workers = leaves, .bucket_elements = {40}});
      reducer->begin(0);
      const std::vector<float> data(40, -0.0F);
      const auto [first, last] = share_of(world.rank(), 2, 0, leaves);
      for (int leaf = first; leaf < last; ++leaf) reducer->bucket_ready(leaf, 0, data.data());
      reducer->finish();
      for (const float value : reducer->result(0)) EXPECT_TRUE(std::signbit(value));
    });
  }
}

TEST(ReducerMemory, StaysBelowLog2VPlusOneGradientsPerThread) {
  constexpr std::int64_t kElements = 1 << 20;
  constexpr std::size_t kGradient = kElements * sizeof(float);
  for (const int leaves : {2, 7, 8, 16}) {
    for (int threads = 1; threads <= 2; ++threads) {
      on_ranks(1, [&](Communicator& world) {
        const auto reducer = make_reducer(
            world, {.virtual_workers = leaves, .bucket_elements = {kElements}, .threads = threads});
        const std::size_t planned = reducer->memory_bytes();
        const auto most = static_cast<std::size_t>(std::log2(leaves) + 1);
        EXPECT_LE(planned, static_cast<std::size_t>(threads) * most * kGradient);
        EXPECT_GE(planned, kGradient);
        std::vector<float> data(kElements);
        for (int step = 0; step < 3; ++step) {
          reducer->begin(step);
          for (int leaf = 0; leaf < leaves; ++leaf) reducer->bucket_ready(leaf, 0, data.data());
          reducer->finish();
        }
        EXPECT_EQ(reducer->memory_bytes(), planned) << "a step took memory";
      });
    }
  }
}

TEST(ReducerErrors, RefusesMoreRanksThanVirtualWorkers) {
  on_ranks(3, [](Communicator& world) {
    try {
      make_reducer(world, {.virtual_workers = 2, .bucket_elements = {1}});
      FAIL() << "3 ranks share 2 leaves";
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find("3 ranks, but only 2 virtual workers"), std::string::npos);
    }
  });
}

TEST(ReducerErrors, RefusesALeafTwiceAndALeafOfAnotherRank) {
  on_ranks(1, [](Communicator& world) {
    const auto reducer = make_reducer(world, {.virtual_workers = 2, .bucket_elements = {1}});
    const float value = 1;
    reducer->begin(0);
    reducer->bucket_ready(0, 0, &value);
    EXPECT_THROW(reducer->bucket_ready(0, 0, &value), Error);
    EXPECT_THROW(reducer->bucket_ready(2, 0, &value), Error);
    EXPECT_THROW(reducer->bucket_ready(-1, 0, &value), Error);
    EXPECT_THROW(reducer->begin(1), Error);
    reducer->bucket_ready(1, 0, &value);
    reducer->finish();
    EXPECT_EQ(reducer->result(0)[0], 2.0F);
  });
}

TEST(ReducerErrors, NamesTheLeafThatWasNotHandedIn) {
  on_ranks(1, [](Communicator& world) {
    world.set_deadline(std::chrono::milliseconds(60));
    const auto reducer = make_reducer(world, {.virtual_workers = 2, .bucket_elements = {1, 1}});
    const float value = 1;
    reducer->begin(4);
    reducer->bucket_ready(0, 0, &value);
    reducer->bucket_ready(1, 0, &value);
    reducer->bucket_ready(0, 1, &value);
    try {
      reducer->finish();
      FAIL() << "finished without a leaf";
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "gradient bucket 1 of step 4: micro-batch 1 was not handed in");
    }
  });
}

TEST(ReducerErrors, FinishNamesTheSilentRankBucketAndStep) {
  for (const int leaves : {2, 3}) {  // halving and direct exchange
    on_ranks(2, [&](Communicator& world) {
      const auto reducer = make_reducer(world, {.virtual_workers = leaves, .bucket_elements = {40, 40}});
      reducer->begin(12);
      const std::vector<float> data(40);
      const auto [first, last] = share_of(world.rank(), 2, 0, leaves);
      const int buckets = world.rank() == 0 ? 2 : 1;  // rank 1 stops after the first
      for (int bucket = 0; bucket < buckets; ++bucket) {
        for (int leaf = first; leaf < last; ++leaf) reducer->bucket_ready(leaf, bucket, data.data());
      }
      if (world.rank() == 1) {
        std::this_thread::sleep_for(std::chrono::milliseconds(400));
        return;
      }
      world.set_deadline(std::chrono::milliseconds(150));
      try {
        reducer->finish();
        FAIL() << "finished without rank 1";
      } catch (const PeerError& error) {
        const std::string message = error.what();
        EXPECT_EQ(message.find("rank 0 waited 0."), 0U) << message;
        EXPECT_NE(message.find("for rank 1 in gradient bucket 1 of step 12"), std::string::npos) << message;
      }
      EXPECT_THROW(reducer->bucket_ready(first, 1, data.data()), PeerError);
      EXPECT_THROW(reducer->begin(13), PeerError);
    });
  }
}

TEST(ReducerErrors, TheDestructorDoesNotWaitForASilentRank) {
  on_ranks(2, [](Communicator& world) {
    world.set_deadline(std::chrono::minutes(10));  // far beyond this test's time limit
    const auto reducer = make_reducer(world, {.virtual_workers = 2, .bucket_elements = {40}});
    reducer->begin(0);
    const std::vector<float> data(40);
    if (world.rank() == 0) reducer->bucket_ready(0, 0, data.data());
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // the communication thread waits by now
  });
}

}  // namespace
}  // namespace convoy
