#include "distributed/device_transport.h"

#include <fmt/format.h>

#include "core/tensor/error.h"
#include "distributed/device_tree_reduction.h"
#include "distributed/nccl_module.h"

namespace convoy {
namespace {

/// Why the ranks cannot all use NCCL: the words of the first that cannot; empty: they can.
std::string why_not_everywhere(Communicator& world) {
  const std::vector<std::string> reasons = world.all_gather_strings(why_no_nccl());
  for (std::size_t rank = 0; rank < reasons.size(); ++rank)
    if (!reasons[rank].empty()) return fmt::format("no NCCL on rank {}: {}", rank, reasons[rank]);
  return {};
}

}  // namespace

std::unique_ptr<DeviceReduction> make_device_reduction(Communicator& world, Device& device,
                                                       const DeviceReductionOptions& options,
                                                       const TransportOptions& transport) {
  if (world.size() == 1 || device.is_host() || transport.transport == DeviceTransport::host)
    return make_staged_reduction(world, device, options);
  const bool chosen = transport.transport == DeviceTransport::nccl;
  if (chosen && transport.shares_device) let_ranks_share_a_device(world.rank(), transport.one_host);
  std::string why_not = !chosen && transport.shares_device
                            ? "ranks share a device, which NCCL's makers do not support (--distributed.transport=nccl tries)"
                            : why_not_everywhere(world);
  if (chosen && !why_not.empty())
    throw UsageError(why_not + "; --distributed.transport=host takes gradients through the hosts' memory");
  if (!why_not.empty()) {
    if (transport.tell) transport.tell("gradients travel through the hosts' memory: " + why_not);
    return make_staged_reduction(world, device, options);
  }
  return make_device_tree_reduction(world, make_nccl_communicator(world, device), device, options);
}

}  // namespace convoy
