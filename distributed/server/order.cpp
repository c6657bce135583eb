#include "distributed/server/order.h"

#include <cstring>

namespace convoy {
namespace {

struct Name {
  std::int64_t worker, sequence;
};

}  // namespace

Frame encode(const Order& order) {
  Frame frame;
  frame.header.kind = FrameKind::order;
  frame.header.worker = order.worker;
  frame.header.version = order.update.version;
  frame.header.numbers = {static_cast<std::int64_t>(order.kind), order.update.pulled, 0, 0};
  frame.header.reals[0] = order.update.rate;
  if (order.update.pushes.empty()) return frame;
  const std::size_t bytes = order.update.pushes.size() * sizeof(Name);
  frame.payload = {std::shared_ptr<std::byte>(new std::byte[bytes], std::default_delete<std::byte[]>()), bytes};
  Name* name = frame.payload.as<Name>();
  for (const auto& [worker, sequence] : order.update.pushes) *name++ = {worker, sequence};
  return frame;
}

Order decode_order(const Frame& frame) {
  Order order{.kind = static_cast<Order::Kind>(frame.header.numbers[0]), .worker = frame.header.worker, .update = {}};
  order.update.version = frame.header.version;
  order.update.pulled = frame.header.numbers[1];
  order.update.rate = frame.header.reals[0];
  const Name* names = frame.payload.as<Name>();
  for (std::size_t i = 0; i < frame.payload.bytes / sizeof(Name); ++i)
    order.update.pushes.emplace_back(static_cast<std::int32_t>(names[i].worker), names[i].sequence);
  return order;
}

}  // namespace convoy
