#include "distributed/mpi/mpi_communicator.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "core/tensor/error.h"
#include "distributed/backoff.h"
#include "distributed/mpi/check.h"

namespace convoy {
namespace {

// MPI counts are ints: more bytes, or floats, than this travel as several messages, in order.
constexpr std::size_t kLongestPart = std::size_t{1} << 30;
constexpr std::chrono::milliseconds kLetGoMayTake{100};  // a request that an exception leaves behind

class MpiRequest final : public PolledRequest {
 public:
  MpiRequest(const WaitSite& site, int peer, std::size_t bytes) : PolledRequest(site, peer, bytes) {}
  ~MpiRequest() override {
    if (done() || abandoned()) return;  // of a dead peer: MPI may still hold it, so it is never freed
    // An exception is passing. A receive must not write into a buffer that is about to go; a send cannot be
    // taken back, but only reads. What is under way already gets a moment to come through, since the process may go on.
    for (MPI_Request& part : parts_) {
      if (part == MPI_REQUEST_NULL) continue;
      if (receiving_) static_cast<void>(MPI_Cancel(&part));
    }
    const Backoff since;
    for (MPI_Request& part : parts_) {
      int over = part == MPI_REQUEST_NULL;
      while (!over && since.waited() < kLetGoMayTake && MPI_Test(&part, &over, MPI_STATUS_IGNORE) == MPI_SUCCESS && !over)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (part != MPI_REQUEST_NULL) static_cast<void>(MPI_Request_free(&part));
    }
  }

  void send(const std::byte* data, std::size_t bytes, int peer, int tag, MPI_Comm comm) {
    for_parts(bytes, [&](std::size_t offset, int count, MPI_Request* part) {
      CONVOY_MPI(MPI_Isend(data + offset, count, MPI_BYTE, peer, tag, comm, part));
    });
  }

  void receive(std::byte* data, std::size_t bytes, int peer, int tag, MPI_Comm comm) {
    receiving_ = true;
    for_parts(bytes, [&](std::size_t offset, int count, MPI_Request* part) {
      CONVOY_MPI(MPI_Irecv(data + offset, count, MPI_BYTE, peer, tag, comm, part));
    });
  }

 protected:
  bool poll() override {
    while (finished_ < parts_.size()) {
      int flag = 0;
      MPI_Status status;
      CONVOY_MPI(MPI_Test(&parts_[finished_], &flag, &status));
      if (!flag) return false;
      if (receiving_) check_length(status);
      ++finished_;
    }
    return true;
  }

 private:
  template <typename Start>
  void for_parts(std::size_t bytes, const Start& start) {
    bytes_ = bytes;
    parts_.assign(std::max<std::size_t>(1, (bytes + kLongestPart - 1) / kLongestPart), MPI_REQUEST_NULL);
    for (std::size_t i = 0; i < parts_.size(); ++i) start(i * kLongestPart, length_of(i), &parts_[i]);
  }
  int length_of(std::size_t part) const {
    return static_cast<int>(std::min(kLongestPart, bytes_ - part * kLongestPart));
  }
  void check_length(const MPI_Status& status) const {
    int found = 0;
    CONVOY_MPI(MPI_Get_count(&status, MPI_BYTE, &found));
    if (found != length_of(finished_)) {
      throw LibraryError(
          fmt::format("MPI_Irecv: expected a message of {} bytes, found one of {} (rank {}, tag {})",
                      length_of(finished_), found, status.MPI_SOURCE, status.MPI_TAG));
    }
  }

  std::vector<MPI_Request> parts_;
  std::size_t bytes_ = 0;
  std::size_t finished_ = 0;
  bool receiving_ = false;
};

}  // namespace

MpiCommunicator::MpiCommunicator(MPI_Comm owned) : MpiCommunicator(owned, SplitPart{}) {
  int rank = 0, size = 0;
  CONVOY_MPI(MPI_Comm_rank(comm_, &rank));
  CONVOY_MPI(MPI_Comm_size(comm_, &size));
  open(rank, size);
}

MpiCommunicator::MpiCommunicator(MPI_Comm owned, SplitPart) : comm_(owned) {
  CONVOY_MPI(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN));
}

MpiCommunicator::~MpiCommunicator() {
  int finalized = 0;
  if (MPI_Finalized(&finalized) == MPI_SUCCESS && !finalized) static_cast<void>(MPI_Comm_free(&comm_));
}

PolledCommunicator::PolledRequestPtr MpiCommunicator::start_send(const void* data, std::size_t bytes, int peer,
                                                                 int tag) {
  auto request = std::make_unique<MpiRequest>(site(), peer, bytes);
  request->send(static_cast<const std::byte*>(data), bytes, peer, tag, comm_);
  return request;
}

PolledCommunicator::PolledRequestPtr MpiCommunicator::start_receive(void* data, std::size_t bytes, int peer,
                                                                    int tag) {
  auto request = std::make_unique<MpiRequest>(site(), peer, bytes);
  request->receive(static_cast<std::byte*>(data), bytes, peer, tag, comm_);
  return request;
}

std::unique_ptr<PolledCommunicator> MpiCommunicator::make_group(int color, int key, const std::vector<int>&) {
  MPI_Comm part = MPI_COMM_NULL;
  CONVOY_MPI(MPI_Comm_split(comm_, color, key, &part));
  return std::unique_ptr<MpiCommunicator>(new MpiCommunicator(part, SplitPart{}));
}

void MpiCommunicator::all_reduce_fast(std::span<float> values) {
  for (std::size_t i = 0; i < values.size(); i += kLongestPart) {
    const auto part = values.subspan(i, std::min(kLongestPart, values.size() - i));
    CONVOY_MPI(
        MPI_Allreduce(MPI_IN_PLACE, part.data(), static_cast<int>(part.size()), MPI_FLOAT, MPI_SUM, comm_));
  }
}

void MpiCommunicator::all_reduce_fast(std::span<const float> mine, std::span<float> sum) {
  if (mine.size() != sum.size()) {
    throw Error(fmt::format("all_reduce_fast: {} values to sum, but room for {}", mine.size(), sum.size()));
  }
  for (std::size_t i = 0; i < sum.size(); i += kLongestPart) {
    const auto part = sum.subspan(i, std::min(kLongestPart, sum.size() - i));
    CONVOY_MPI(
        MPI_Allreduce(mine.data() + i, part.data(), static_cast<int>(part.size()), MPI_FLOAT, MPI_SUM, comm_));
  }
}

}  // namespace convoy
