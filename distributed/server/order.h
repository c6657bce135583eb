#pragma once
// An entry of the order, as server 0 tells it to all servers.
#include <cstdint>
#include <vector>

#include "distributed/server/frame.h"
#include "distributed/server/parameter_server.h"

namespace convoy {

struct Order {
  enum class Kind : std::int64_t {
    pull,      // the parameters to `worker`
    apply,     // `update`
    drop,      // the pushes of `update`
    forget,    // all of `worker`'s
    snapshot   // all that the slice keeps, to the sequencer
  };
  Kind kind = Kind::pull;
  std::int32_t worker = -1;
  Update update;                   // its version: of the parameters at this place of the order
};

Frame encode(const Order& order);
Order decode_order(const Frame& frame);

}  // namespace convoy
