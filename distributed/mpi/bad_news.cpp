#include "distributed/mpi/bad_news.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

#include "core/tensor/error.h"
#include "distributed/backoff.h"
#include "distributed/mpi/check.h"

namespace convoy {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kListenEvery{20};
constexpr milliseconds kRankZeroMayTake{2000};  // to answer a report, its handler included
constexpr milliseconds kEndMayTake{200};        // to hand the end to another rank
constexpr milliseconds kLastResort{4000};       // after which a failing process ends whatever it hangs in
enum Tag { kReport = 1, kEnd = 2 };

/// Ends this process: what is printed gets out, but nothing else is cleaned up, for other threads still run.
[[noreturn]] void end(int status) {
  for (std::FILE* stream : {stdout, stderr}) {
    if (ftrylockfile(stream) != 0) continue;  // another thread hangs in it
    std::fflush(stream);
    funlockfile(stream);
  }
  ::_exit(status);
}

[[noreturn]] void wait_for_the_end() {
  for (;;) std::this_thread::sleep_for(kLastResort);
}

void end_at_last(int status) {
  std::thread([status] {
    std::this_thread::sleep_for(kLastResort);
    ::_exit(status);
  }).detach();
}

}  // namespace

BadNewsChannel::BadNewsChannel(MPI_Comm owned) : comm_(owned) {
  CONVOY_MPI(MPI_Comm_rank(comm_, &rank_));
  CONVOY_MPI(MPI_Comm_size(comm_, &size_));
  if (size_ > 1) listener_ = std::thread([this] { listen(); });
}

BadNewsChannel::~BadNewsChannel() {
  closing_ = true;
  if (listener_.joinable()) listener_.join();
  static_cast<void>(MPI_Comm_free(&comm_));
}

void BadNewsChannel::on_bad_news(std::function<void(const BadNews&)> handler) {
  const std::lock_guard lock(mutex_);
  handler_ = std::move(handler);
}

void BadNewsChannel::fail(int status, const std::string& reason) {
  end_at_last(status);
  if (rank_ != 0) report(status, reason);
  lead({rank_, status, reason});
  wait_for_the_end();  // another failure came first: its status is the world's
}

void BadNewsChannel::listen() {
  try {
    while (!closing_) {
      int found = 0;
      MPI_Message message;
      MPI_Status status;
      CONVOY_MPI(MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm_, &found, &message, &status));
      if (found) {
        hear(message, status);
      } else {
        std::this_thread::sleep_for(kListenEvery);
      }
    }
  } catch (const LibraryError& error) {
    fail(1, error.what());
  }
}

void BadNewsChannel::hear(MPI_Message& message, const MPI_Status& status) {
  int length = 0;
  CONVOY_MPI(MPI_Get_count(&status, MPI_BYTE, &length));
  std::string bytes(static_cast<std::size_t>(length), '\0');
  CONVOY_MPI(MPI_Mrecv(bytes.data(), length, MPI_BYTE, &message, MPI_STATUS_IGNORE));
  const std::size_t newline = bytes.find('\n');
  const int exit_status = std::stoi(bytes.substr(0, newline));
  if (status.MPI_TAG == kEnd) end(exit_status);
  lead({status.MPI_SOURCE, exit_status, bytes.substr(newline + 1)});
}

void BadNewsChannel::report(int status, const std::string& reason) {
  send_and_wait(fmt::format("{}\n{}", status, reason), 0, kReport, kRankZeroMayTake);
  std::this_thread::sleep_for(kRankZeroMayTake);  // the listener ends this process as soon as rank 0 answers
}

void BadNewsChannel::lead(const BadNews& news) {
  if (leading_.exchange(true)) return;
  end_at_last(news.status);
  run_handler(news);
  for (int r = 0; r < size_; ++r) {
    if (r != rank_) send_and_wait(fmt::format("{}\n", news.status), r, kEnd, kEndMayTake);
  }
  end(news.status);
}

void BadNewsChannel::run_handler(const BadNews& news) {
  const std::lock_guard lock(mutex_);
  try {
    if (handler_) handler_(news);
  } catch (...) {
    // The handler is the voice of this room: when it fails there is nobody to tell, and the end must come all
    // the same.
  }
}

void BadNewsChannel::send_and_wait(const std::string& bytes, int peer, int tag, milliseconds patience) {
  MPI_Request request;
  if (MPI_Isend(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, peer, tag, comm_, &request) !=
      MPI_SUCCESS) {
    return;  // the peer is gone; the rest still has to hear
  }
  const Backoff backoff;
  int sent = 0;
  while (!sent && backoff.waited() < patience) {
    if (MPI_Test(&request, &sent, MPI_STATUS_IGNORE) != MPI_SUCCESS) return;
    if (!sent) std::this_thread::sleep_for(milliseconds(1));
  }
}

}  // namespace convoy
