#include "distributed/nccl_module.h"

#include <fmt/format.h>

#include <cstdlib>

#include "core/tensor/error.h"
#include "distributed/agreement.h"

namespace convoy {
namespace {

std::function<std::unique_ptr<DeviceCommunicator>(Communicator&, Device&)> nccl_maker;

struct Loaded {
  const NcclModule* module = nullptr;
  std::string why_not;
};

const Loaded& loaded() {
  static const Loaded once = [] {
    if (std::string wrong = wrong_module_folder(); !wrong.empty()) return Loaded{nullptr, std::move(wrong)};
    const OpenedModule opened = open_module("convoy_nccl");
    // The head is the first member of a standard-layout struct.
    return Loaded{reinterpret_cast<const NcclModule*>(opened.head), opened.why_not};
  }();
  return once;
}

void set_unless_given(const char* name, const char* value) { static_cast<void>(::setenv(name, value, 0)); }

}  // namespace

std::string why_no_nccl() { return nccl_maker ? std::string() : loaded().why_not; }

void set_nccl_maker(std::function<std::unique_ptr<DeviceCommunicator>(Communicator&, Device&)> maker) {
  nccl_maker = std::move(maker);
}

std::unique_ptr<DeviceCommunicator> make_nccl_communicator(Communicator& communicator, Device& device) {
  if (nccl_maker) return nccl_maker(communicator, device);
  if (loaded().module == nullptr) throw UsageError(loaded().why_not);
  check_agreement(communicator, "the version of NCCL", loaded().module->version());
  return loaded().module->make(communicator, device);
}

void let_ranks_share_a_device(int rank, bool one_host) {
  // One for each rank of the world, and never the user's: a variable that mpirun passes on is the same for all.
  static_cast<void>(::setenv("NCCL_HOSTID", fmt::format("convoy-rank-{}", rank).c_str(), 1));
  set_unless_given("NCCL_NET", "Socket");
  set_unless_given("NCCL_IB_DISABLE", "1");
  set_unless_given("NCCL_MNNVL_ENABLE", "0");
  set_unless_given("NCCL_NVLS_ENABLE", "0");
  if (one_host) set_unless_given("NCCL_SOCKET_IFNAME", "lo");
}

}  // namespace convoy
