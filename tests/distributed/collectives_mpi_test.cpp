// The communicator over MPI: the same checks as on threads.
#include <gtest/gtest.h>

#include "collective_checks.h"
#include "core/tensor/error.h"
#include "support/mpi_world.h"

namespace convoy {
namespace {

TEST(MpiCommunicator, Broadcasts) { check_broadcast(mpi_world().all()); }
TEST(MpiCommunicator, GathersFromAllToAll) { check_all_gather(mpi_world().all()); }
TEST(MpiCommunicator, ExchangesAllToAll) { check_all_to_all(mpi_world().all()); }
TEST(MpiCommunicator, Reduces) { check_all_reduce(mpi_world().all()); }
TEST(MpiCommunicator, ReducesInRankOrder) { check_all_reduce_order(mpi_world().all()); }
TEST(MpiCommunicator, ReducesFast) { check_all_reduce_fast(mpi_world().all()); }
TEST(MpiCommunicator, CarriesStrings) { check_strings(mpi_world().all()); }
TEST(MpiCommunicator, KeepsTheOrderOfMessages) { check_messages(mpi_world().all()); }
TEST(MpiCommunicator, RefusesMessagesOfAnotherSize) { check_message_sizes(mpi_world().all()); }
TEST(MpiCommunicator, SplitsByColorAndKey) { check_split(mpi_world().all()); }
TEST(MpiCommunicator, HasABarrier) { check_barrier(mpi_world().all()); }

TEST(MpiCommunicator, SaysWhatMpiSays) {
  int value = 0;
  try {
    mpi_world().all().send(&value, sizeof value, mpi_world().size(), 0);
    FAIL() << "a message to a rank that does not exist was accepted";
  } catch (const LibraryError& error) {
    EXPECT_NE(std::string(error.what()).find("MPI_ERR_RANK: invalid rank"), std::string::npos) << error.what();
  }
}

TEST(MpiCommunicator, NamesTheSilentPeer) {
  Communicator& world = mpi_world().all();
  const auto quiet = world.split(0, world.rank());
  const auto before = world.deadline();
  if (world.rank() == 0 && world.size() > 1) {
    quiet->set_deadline(std::chrono::milliseconds(100));
    quiet->at("gradient bucket 3", 120);
    try {
      quiet->barrier();
      FAIL() << "a barrier ended that nobody else had entered";
    } catch (const PeerError& error) {
      EXPECT_STREQ(error.what(), "rank 0 waited 0.1 s for rank 1 in gradient bucket 3 of step 120");
    }
    quiet->set_deadline(before);
  }
  world.barrier();
}

TEST(World, KnowsItsLibraryAndHost) {
  EXPECT_FALSE(mpi_world().host().empty());
  EXPECT_NE(mpi_world().library_version().find_first_of("0123456789"), std::string::npos);
  EXPECT_EQ(mpi_world().library_version().find(','), std::string::npos);
}

}  // namespace
}  // namespace convoy
