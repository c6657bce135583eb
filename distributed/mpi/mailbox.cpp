#include "distributed/mailbox.h"

#include <fmt/format.h>
#include <mpi.h>

#include <list>
#include <thread>
#include <vector>

#include "core/tensor/error.h"
#include "distributed/backoff.h"
#include "distributed/mpi/check.h"

namespace convoy {
namespace {

constexpr int kTag = 1;
constexpr int kUnderWay = 8;  // letters to one rank; further ones are dropped
constexpr std::chrono::milliseconds kLastLettersMayTake{200};

struct Sending {
  int to = 0;
  std::string bytes;
  MPI_Request request = MPI_REQUEST_NULL;
};

}  // namespace

struct Mailbox::State {
  MPI_Comm comm = MPI_COMM_NULL;
  std::list<Sending> sendings;
  std::vector<int> under_way;  // by rank

  /// Forgets what has left. An error means that the peer cannot be reached: then there is nothing to wait for.
  void reap() {
    for (auto at = sendings.begin(); at != sendings.end();) {
      int sent = 0;
      if (MPI_Test(&at->request, &sent, MPI_STATUS_IGNORE) == MPI_SUCCESS && !sent) {
        ++at;
        continue;
      }
      --under_way[static_cast<std::size_t>(at->to)];
      at = sendings.erase(at);
    }
  }
};

Mailbox::Mailbox(int size, std::chrono::milliseconds deadline) : state_(std::make_unique<State>()) {
  MPI_Request request = MPI_REQUEST_NULL;
  CONVOY_MPI(MPI_Comm_idup(MPI_COMM_WORLD, &state_->comm, &request));
  const Backoff start;
  for (int done = 0; !done; std::this_thread::sleep_for(std::chrono::milliseconds(1))) {
    CONVOY_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    if (done || start.waited() < deadline) continue;
    static_cast<void>(state_.release());  // MPI may still write the communicator's handle into it
    throw PeerError(fmt::format("not all ranks came to the start of the watch within {:.4g} s",
                                std::chrono::duration<double>(deadline).count()));
  }
  CONVOY_MPI(MPI_Comm_set_errhandler(state_->comm, MPI_ERRORS_RETURN));
  state_->under_way.resize(static_cast<std::size_t>(size));
}

Mailbox::~Mailbox() {
  const auto end = std::chrono::steady_clock::now() + kLastLettersMayTake;
  for (state_->reap(); !state_->sendings.empty() && std::chrono::steady_clock::now() < end; state_->reap())
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  static_cast<void>(MPI_Comm_free(&state_->comm));
  // MPI may still read what did not leave: it stays, to the end of the process.
  if (!state_->sendings.empty()) static_cast<void>(new std::list<Sending>(std::move(state_->sendings)));
}

void Mailbox::send(int to, std::string bytes) {
  state_->reap();
  int& under_way = state_->under_way.at(static_cast<std::size_t>(to));
  if (under_way >= kUnderWay) return;
  Sending& sending = state_->sendings.emplace_back(Sending{.to = to, .bytes = std::move(bytes)});
  if (MPI_Isend(sending.bytes.data(), static_cast<int>(sending.bytes.size()), MPI_BYTE, to, kTag, state_->comm,
                &sending.request) == MPI_SUCCESS)
    ++under_way;
  else
    state_->sendings.pop_back();
}

std::optional<Mailbox::Letter> Mailbox::receive() {
  int found = 0;
  MPI_Message message;
  MPI_Status status;
  CONVOY_MPI(MPI_Improbe(MPI_ANY_SOURCE, kTag, state_->comm, &found, &message, &status));
  if (!found) return std::nullopt;
  int length = 0;
  CONVOY_MPI(MPI_Get_count(&status, MPI_BYTE, &length));
  Letter letter{status.MPI_SOURCE, std::string(static_cast<std::size_t>(length), '\0')};
  CONVOY_MPI(MPI_Mrecv(letter.bytes.data(), length, MPI_BYTE, &message, MPI_STATUS_IGNORE));
  return letter;
}

}  // namespace convoy
