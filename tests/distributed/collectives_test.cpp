// The communicator of threads; several sizes, odd ones among them.
#include <gtest/gtest.h>

#include <functional>

#include "collective_checks.h"
#include "core/tensor/error.h"
#include "support/on_ranks.h"

namespace convoy {
namespace {

using namespace std::chrono_literals;

struct Case {
  const char* name;
  void (*check)(Communicator&);
  int ranks;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const int ranks : {1, 2, 3, 4, 7}) {
    all.push_back({"Broadcast", check_broadcast, ranks});
    all.push_back({"AllGather", check_all_gather, ranks});
    all.push_back({"AllToAll", check_all_to_all, ranks});
    all.push_back({"AllReduce", check_all_reduce, ranks});
    all.push_back({"AllReduceAddsInRankOrder", check_all_reduce_order, ranks});
    all.push_back({"AllReduceFast", check_all_reduce_fast, ranks});
    all.push_back({"Strings", check_strings, ranks});
    all.push_back({"MessagesArriveInOrder", check_messages, ranks});
    all.push_back({"RefusesMessagesOfAnotherSize", check_message_sizes, ranks});
    all.push_back({"SplitOrdersByKey", check_split, ranks});
    all.push_back({"Barrier", check_barrier, ranks});
  }
  return all;
}

class Collectives : public testing::TestWithParam<Case> {};

TEST_P(Collectives, Work) { on_ranks(GetParam().ranks, GetParam().check); }

INSTANTIATE_TEST_SUITE_P(Threads, Collectives, testing::ValuesIn(cases()), [](const auto& test) {
  return std::string(test.param.name) + "On" + std::to_string(test.param.ranks);
});

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const PeerError& error) {
    return error.what();
  }
  return "no PeerError";
}

TEST(Deadline, NamesThePeerThePurposeAndTheStep) {
  on_ranks(2, [](Communicator& world) {
    if (world.rank() == 1) return;  // never enters
    world.set_deadline(50ms);
    world.at("gradient bucket 3", 120);
    int value = 0;
    EXPECT_EQ(message_of([&] { world.receive(&value, sizeof value, 1, 0)->wait(); }),
              "rank 0 waited 0.1 s for rank 1 in gradient bucket 3 of step 120");
  });
}

TEST(Deadline, EndsEveryCollective) {
  const std::function<void(Communicator&)> collectives[] = {
      [](Communicator& c) { c.barrier(); },
      [](Communicator& c) {
        int v = 0;
        c.broadcast(&v, sizeof v, 2);
      },
      [](Communicator& c) {
        int v = 0, all[3];
        c.all_gather(&v, sizeof v, all);
      },
      [](Communicator& c) {
        int v[3] = {}, all[3];
        c.all_to_all(v, sizeof(int), all);
      },
      [](Communicator& c) {
        double v[] = {1};
        c.all_reduce(v, ReduceOp::sum);
      },
      [](Communicator& c) { c.split(0, 0); },
  };
  for (const auto& collective : collectives) {
    on_ranks(3, [&](Communicator& world) {
      if (world.rank() == 2) return;  // never enters
      world.set_deadline(50ms);
      world.at("the loss", 7);
      const std::string message = message_of([&] { collective(world); });
      EXPECT_NE(message.find("in the loss of step 7"), std::string::npos) << message;
      if (world.rank() == 0) {
        EXPECT_NE(message.find("for rank 2"), std::string::npos) << message;
      }
    });
  }
}

TEST(Deadline, OfASplitCommunicatorIsTheOrigins) {
  on_ranks(2, [](Communicator& world) {
    const auto part = world.split(0, 1 - world.rank());  // reversed: world rank 1 is rank 0 here
    world.barrier();
    if (world.rank() == 1) return;
    world.set_deadline(50ms);
    part->at("the average", -1);
    int value = 0;
    EXPECT_EQ(message_of([&] { part->receive(&value, sizeof value, 0, 0)->wait(); }),
              "rank 0 waited 0.1 s for rank 1 in the average");
  });
}

TEST(Interrupt, EndsTheWaitUnderWay) {
  on_ranks(2, [](Communicator& world) {
    if (world.rank() == 1) return;
    world.at("the exchange", 5);
    std::thread other([&] {
      std::this_thread::sleep_for(20ms);
      world.interrupt();
    });
    int value = 0;
    EXPECT_EQ(message_of([&] { world.receive(&value, sizeof value, 1, 0)->wait(); }),
              "rank 0: the exchange of step 5 was interrupted");
    other.join();
  });
}

TEST(Interrupt, ReachesWhatWasSplitFromItAndNotWhatItWasSplitFrom) {
  on_ranks(2, [](Communicator& world) {
    const auto part = world.split(0, world.rank());
    const auto inner = part->split(0, part->rank()), beside = world.split(0, world.rank());
    part->interrupt();
    int value = world.rank(), other = -1;
    for (Communicator* over : {part.get(), inner.get()})
      EXPECT_NE(message_of([&] { over->receive(&other, sizeof other, 1 - world.rank(), 0)->wait(); }).find("was interrupted"), std::string::npos);
    for (Communicator* lives : {&world, beside.get()}) {
      const RequestPtr sent = lives->send(&value, sizeof value, 1 - world.rank(), 0);
      lives->receive(&other, sizeof other, 1 - world.rank(), 0)->wait();
      sent->wait();
      EXPECT_EQ(other, 1 - world.rank());
    }
  });
}

}  // namespace
}  // namespace convoy
