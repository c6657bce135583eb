#pragma once
// What every communicator must do, whatever it is made of: run on threads by collectives_test.cpp and under
// mpirun by collectives_mpi_test.cpp.
#include "distributed/communicator.h"

namespace convoy {

void check_broadcast(Communicator& world);
void check_all_gather(Communicator& world);
void check_all_to_all(Communicator& world);
void check_all_reduce(Communicator& world);
void check_all_reduce_order(Communicator& world);
void check_all_reduce_fast(Communicator& world);
void check_strings(Communicator& world);
void check_messages(Communicator& world);
void check_message_sizes(Communicator& world);
void check_split(Communicator& world);
void check_barrier(Communicator& world);

}  // namespace convoy
