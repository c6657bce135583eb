#pragma once
// A communicator over MPI. For distributed/mpi/ only: it shows mpi.h.
#include <mpi.h>

#include "distributed/polled_communicator.h"

namespace convoy {

class MpiCommunicator final : public PolledCommunicator {
 public:
  /// Takes over `owned`, in which every rank is known to be present, and frees it. Errors are returned, not
  /// fatal.
  explicit MpiCommunicator(MPI_Comm owned);
  ~MpiCommunicator() override;
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  MPI_Comm handle() const { return comm_; }
  void all_reduce_fast(std::span<float> values) override;
  void all_reduce_fast(std::span<const float> mine, std::span<float> sum) override;

 protected:
  PolledRequestPtr start_send(const void* data, std::size_t bytes, int peer, int tag) override;
  PolledRequestPtr start_receive(void* data, std::size_t bytes, int peer, int tag) override;
  std::unique_ptr<PolledCommunicator> make_group(int color, int key, const std::vector<int>& members) override;

 private:
  struct SplitPart {};  // split() fills in ranks and deadline
  MpiCommunicator(MPI_Comm owned, SplitPart);

  MPI_Comm comm_;
};

}  // namespace convoy
