#include "distributed/mpi/bad_news.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <sstream>
#include <vector>

#include "core/tensor/error.h"
#include "distributed/backoff.h"
#include "distributed/mpi/check.h"

namespace convoy {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kListenEvery{20};
constexpr milliseconds kQuiet{2};               // after a report: no more have arrived with it
constexpr milliseconds kRankZeroMayTake{2000};  // to answer a report, its handler included
constexpr milliseconds kEndMayTake{200};        // to hand a message to MPI
constexpr milliseconds kMpirunMayTake{100};     // to read what the handler printed: it drops the rest when ranks end
constexpr milliseconds kLastResort{4000};       // after which a failing process ends whatever it hangs in
enum Tag { kReport = 1, kEnd = 2 };

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

void BadNewsChannel::explain_bad_news(std::function<void(BadNews&)> explain) {
  const std::lock_guard lock(mutex_);
  explain_ = std::move(explain);
}

void BadNewsChannel::at_bad_end(std::function<void()> last_act) {
  const std::lock_guard lock(mutex_);
  last_act_ = std::move(last_act);
}

void BadNewsChannel::end(int status) {
  {
    // Another thread may hold it while it runs the handler; the end does not wait for that.
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (lock && last_act_) last_act_();
  }
  for (std::FILE* stream : {stdout, stderr}) {
    if (ftrylockfile(stream) != 0) continue;  // another thread hangs in it
    std::fflush(stream);
    funlockfile(stream);
  }
  ::_exit(status);
}

void BadNewsChannel::fail(int status, const std::string& reason, const Blame& blame) {
  end_at_last(status);
  const BadNews news{blame.rank < 0 ? rank_ : blame.rank, status, reason, rank_};
  if (rank_ != 0 && blame.rank_zero_answers) report(news);
  lead(news);
  wait_for_the_end();  // another failure came first: its status is the world's
}

void BadNewsChannel::listen() {
  try {
    for (; !closing_; std::this_thread::sleep_for(kListenEvery)) {
      std::optional<BadNews> first_report;
      // All of them before any is answered: a rank 0 that was stopped, and wakes up late, finds a report and
      // the end that the reporting rank then made of it alone.
      for (Backoff since; since.waited() < kQuiet;) {
        const auto news = hear();
        if (!news && !first_report) break;
        if (!news) continue;
        if (!first_report) first_report = news;
        since = Backoff();
      }
      if (first_report) lead(*first_report);
    }
  } catch (const LibraryError& error) {
    fail(1, error.what(), {});
  }
}

/// A report that has arrived, if any. The end does not return.
std::optional<BadNews> BadNewsChannel::hear() {
  int found = 0;
  MPI_Message message;
  MPI_Status status;
  CONVOY_MPI(MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm_, &found, &message, &status));
  if (!found) return std::nullopt;
  int length = 0;
  CONVOY_MPI(MPI_Get_count(&status, MPI_BYTE, &length));
  std::string bytes(static_cast<std::size_t>(length), '\0');
  CONVOY_MPI(MPI_Mrecv(bytes.data(), length, MPI_BYTE, &message, MPI_STATUS_IGNORE));
  std::istringstream words(bytes);
  int exit_status = 1, to_blame = 0;
  words >> exit_status >> to_blame;
  if (status.MPI_TAG == kEnd) end(exit_status);
  return BadNews{to_blame, exit_status, bytes.substr(bytes.find('\n') + 1), status.MPI_SOURCE};
}

void BadNewsChannel::report(const BadNews& news) {
  send(fmt::format("{} {}\n{}", news.status, news.rank, news.reason), kReport, 0, 1, kEndMayTake);
  std::this_thread::sleep_for(kRankZeroMayTake);  // the listener ends this process as soon as rank 0 answers
}

void BadNewsChannel::lead(const BadNews& news) {
  if (leading_.exchange(true)) return;
  end_at_last(news.status);
  run_handler(news);
  std::fflush(stderr);
  std::this_thread::sleep_for(kMpirunMayTake);
  send(fmt::format("{} {}\n", news.status, news.rank), kEnd, 0, size_, kEndMayTake);
  end(news.status);
}

void BadNewsChannel::run_handler(BadNews news) {
  const std::lock_guard lock(mutex_);
  try {
    if (explain_) explain_(news);
    if (handler_) handler_(news);
  } catch (...) {
    // The handler is the voice of this room: when it fails there is nobody to tell, and the end must come all
    // the same.
  }
}

/// To ranks [first, last) but this one. What cannot be sent is let be: the peer may be the one that is gone.
void BadNewsChannel::send(const std::string& bytes, int tag, int first, int last, milliseconds patience) {
  std::vector<MPI_Request> requests;
  for (int r = first; r < last; ++r) {
    MPI_Request request = MPI_REQUEST_NULL;
    const int length = static_cast<int>(bytes.size());
    if (r != rank_ && MPI_Isend(bytes.data(), length, MPI_BYTE, r, tag, comm_, &request) == MPI_SUCCESS) {
      requests.push_back(request);
    }
  }
  const Backoff backoff;
  int sent = 0;
  while (!sent && backoff.waited() < patience) {
    const int count = static_cast<int>(requests.size());
    if (MPI_Testall(count, requests.data(), &sent, MPI_STATUSES_IGNORE) != MPI_SUCCESS) return;
    if (!sent) std::this_thread::sleep_for(milliseconds(1));
  }
}

}  // namespace convoy
