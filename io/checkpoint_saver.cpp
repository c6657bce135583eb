#include "io/checkpoint_saver.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "io/atomic_file.h"
#include "io/checkpoint_format.h"
#include "io/checkpoint_snapshot.h"
#include "io/write_fault.h"

namespace convoy {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// A thread that signals of the process do not reach: their handlers are the trainer's business.
template <typename Work>
std::thread thread_without_signals(Work work) {
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (int own : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) sigdelset(&blocked, own);
  pthread_sigmask(SIG_SETMASK, &blocked, &before);
  std::thread thread;
  try {
    thread = std::thread(std::move(work));
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

/// `fault.at_byte` < 0: in the middle.
struct Injection {
  WriteFaultSpec fault;
  int count = 0;
};

}  // namespace

/// Everything is guarded by `mutex`, but for `copy`: the writing thread's while `writing`, else the saving thread's.
struct CheckpointSaver::Shared {
  Shared(CheckpointFolder f, int k) : folder(std::move(f)), keep(k) {}

  const CheckpointFolder folder;
  const int keep;
  std::mutex mutex;
  std::condition_variable changed;
  Checkpoint copy;
  SaveOptions options;
  SaveReport report;  // of the save under way
  bool writing = false, closing = false, ended = false, abandoned = false;
  Clock::time_point began;
  std::vector<SaveReport> finished;
  SaverStatus status;
  Injection injection;
  std::function<void(double)> observer;  // set before the first save
  std::thread thread;

  void work();
  void write_one(std::unique_lock<std::mutex>& lock);
  Injection take_injection();
  bool idle_within(std::unique_lock<std::mutex>& lock, std::chrono::duration<double> limit);
};

Injection CheckpointSaver::Shared::take_injection() {
  const Injection now = injection;
  if (injection.count > 0) --injection.count;
  return now;
}

namespace {

/// Fills `report` with what became of the file.
void write_and_report(const CheckpointFolder& folder, int keep, const Checkpoint& copy,
                      const Injection& injection, const std::function<void(double)>& observer, SaveReport& report) {
  const std::int64_t bytes = tensor_bytes(copy);
  std::optional<WriteObserver> observed;
  if (observer)
    observed.emplace([&](std::int64_t offset) {
      const auto total = static_cast<double>(std::max<std::int64_t>(bytes, 1));
      observer(offset < 0 ? 1.0 : std::min(0.99, static_cast<double>(offset) / total));
    });
  std::optional<WriteFault> fault;
  if (injection.count > 0) {
    WriteFaultSpec spec = injection.fault;
    spec.at_byte = spec.at_byte < 0 ? bytes / 2 : std::min(spec.at_byte, bytes);
    fault.emplace(spec);
  }
  const auto begin = Clock::now();
  try {
    report.file = folder.save(copy, keep, report.is_best);
    std::error_code unknown;  // the file is complete whatever this says
    const auto size_bytes = std::filesystem::file_size(report.file, unknown);
    report.bytes = unknown ? 0 : static_cast<std::int64_t>(size_bytes);
  } catch (const SystemError& error) {
    report.error = error.what();
    report.error_number = error.number();
  } catch (const std::exception& error) {
    report.error = error.what();
  }
  report.write_seconds = seconds_since(begin);
}

std::string digest_or_none(const Checkpoint& copy) {
  try {
    return digest_of(copy);
  } catch (const std::exception&) {  // out of memory: what was written is as good
    return {};
  }
}

}  // namespace

void CheckpointSaver::Shared::write_one(std::unique_lock<std::mutex>& lock) {
  SaveReport done = report;
  const Injection fault = take_injection();
  const bool with_digest = options.with_digest;
  lock.unlock();
  {
    const trace::Doing doing(trace::Activity::checkpoint, fmt::format("writing step {}", done.step), tensor_bytes(copy));
    write_and_report(folder, keep, copy, fault, observer, done);
  }
  lock.lock();
  if (done.good()) {
    status.newest = done.file;
    status.newest_step = done.step;
  }
  (done.good() ? status.saved : status.failed) += 1;
  status.last_error = done.error;
  if (with_digest) {
    lock.unlock();
    const trace::Doing doing(trace::Activity::checkpoint, fmt::format("digest of step {}", done.step));
    done.digest = digest_or_none(copy);
    lock.lock();
  }
  finished.push_back(std::move(done));
  writing = false;
  changed.notify_all();
}

void CheckpointSaver::Shared::work() {
  trace::name_thread("saver");
  std::unique_lock lock(mutex);
  for (;;) {
    changed.wait(lock, [&] { return writing || closing; });
    if (!writing) break;
    write_one(lock);
  }
  ended = true;
  changed.notify_all();
}

bool CheckpointSaver::Shared::idle_within(std::unique_lock<std::mutex>& lock, std::chrono::duration<double> limit) {
  return changed.wait_for(lock, limit, [&] { return !writing; });
}

CheckpointSaver::CheckpointSaver(CheckpointFolder folder, int keep, std::chrono::milliseconds patience)
    : shared_(std::make_shared<Shared>(std::move(folder), keep)),
      exceptions_(std::uncaught_exceptions()),
      patience_(patience) {
  if (keep < 1)
    throw UsageError(fmt::format("checkpoint.keep={}: expected at least 1, for a run keeps its newest checkpoint", keep));
  shared_->thread = thread_without_signals([shared = shared_] { shared->work(); });
}

CheckpointSaver::~CheckpointSaver() {
  std::thread thread;
  {
    std::unique_lock lock(shared_->mutex);
    shared_->closing = true;
    shared_->changed.notify_all();
    const auto ended = [&] { return shared_->ended; };
    const auto must_end = [&] { return shared_->ended || shared_->abandoned; };
    if (std::uncaught_exceptions() == exceptions_) shared_->changed.wait(lock, must_end);
    shared_->changed.wait_for(lock, patience_, ended);
    thread = std::move(shared_->thread);
    if (!shared_->ended) thread.detach();
  }
  if (thread.joinable()) thread.join();
}

void CheckpointSaver::reserve(const Checkpoint& like) {
  wait();
  shape_like(like, shared_->copy);
}

void CheckpointSaver::save(const Checkpoint& borrowed, SaveOptions options) {
  checkpoint_format::check_storable(borrowed);
  const std::int64_t bytes = tensor_bytes(borrowed);
  SaveReport report{.file = shared_->folder.file_for(borrowed.step), .step = borrowed.step, .is_best = options.is_best};
  const auto begin = Clock::now();
  std::unique_lock lock(shared_->mutex);
  if (shared_->writing) {
    const trace::Doing doing(trace::Activity::checkpoint,
                             fmt::format("waiting for the write of step {}", shared_->report.step), bytes);
    shared_->changed.wait(lock, [&] { return !shared_->writing; });
  }
  lock.unlock();
  report.wait_seconds = seconds_since(begin);
  const auto copying = Clock::now();
  {
    const trace::Doing doing(trace::Activity::checkpoint, fmt::format("copying step {}", report.step), bytes);
    copy_into(borrowed, shared_->copy);
  }
  report.copy_seconds = seconds_since(copying);
  lock.lock();
  shared_->options = options;
  shared_->report = std::move(report);
  shared_->began = Clock::now();
  shared_->writing = true;
  shared_->changed.notify_all();
}

void CheckpointSaver::wait() {
  std::unique_lock lock(shared_->mutex);
  if (!shared_->writing) return;
  const trace::Doing doing(trace::Activity::checkpoint,
                           fmt::format("waiting for the write of step {}", shared_->report.step));
  shared_->changed.wait(lock, [&] { return !shared_->writing; });
}

bool CheckpointSaver::wait_for(std::chrono::duration<double> limit) {
  std::unique_lock lock(shared_->mutex);
  return shared_->idle_within(lock, limit);
}

std::vector<SaveReport> CheckpointSaver::take_reports() {
  const std::lock_guard lock(shared_->mutex);
  return std::exchange(shared_->finished, {});
}

std::optional<std::filesystem::path> CheckpointSaver::newest() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->status.newest;
}

SaverStatus CheckpointSaver::status() const {
  const std::lock_guard lock(shared_->mutex);
  SaverStatus status = shared_->status;
  if (shared_->writing) {
    status.writing_step = shared_->report.step;
    status.writing_seconds = seconds_since(shared_->began);
  }
  return status;
}

void CheckpointSaver::observe_writes(std::function<void(double)> observer) {
  const std::lock_guard lock(shared_->mutex);
  shared_->observer = std::move(observer);
}

void CheckpointSaver::inject_write_error(int error_number, int count, std::int64_t at_byte) {
  if (error_number <= 0 || count < 0) throw UsageError("inject_write_error: expected an errno value and a count");
  const std::lock_guard lock(shared_->mutex);
  shared_->injection = {{.error_number = error_number, .delay = {}, .at_byte = at_byte}, count};
}

void CheckpointSaver::inject_write_delay(std::chrono::milliseconds delay, int count) {
  if (delay.count() < 0 || count < 0) throw UsageError("inject_write_delay: expected a time and a count");
  const std::lock_guard lock(shared_->mutex);
  shared_->injection = {{.error_number = 0, .delay = delay, .at_byte = -1}, count};
}

void CheckpointSaver::abandon() {
  const std::lock_guard lock(shared_->mutex);
  shared_->abandoned = true;
  shared_->changed.notify_all();
}

}  // namespace convoy
