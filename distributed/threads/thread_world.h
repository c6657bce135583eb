#pragma once
// R ranks as R threads of one process: logic that needs ranks but no processes is tested on these.
#include <memory>
#include <vector>

#include "distributed/communicator.h"

namespace convoy {

/// Communicator r is for the thread that plays rank r. A message is copied when both sides have posted it, so
/// that, as with large MPI messages, a send lasts until it is received. all_reduce_fast is a sum in rank order.
std::vector<std::unique_ptr<Communicator>> make_thread_world(int ranks);

}  // namespace convoy
