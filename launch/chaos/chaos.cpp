#include "launch/chaos/chaos.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <set>
#include <system_error>
#include <thread>

#include "core/random/philox.h"
#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "distributed/agreement.h"
#include "launch/train/agreement.h"

namespace convoy {
namespace {

constexpr std::string_view kEnd = " :: ";  // after the key; a line that a crash cut short has none

/// What a line of the log begins with: a clause that was changed or moved is another one.
std::string key_of(const InjectClause& clause) { return fmt::format("{} {}", clause.number, clause.text); }

[[noreturn]] void throw_log_error(std::string_view action, const std::filesystem::path& log, int error) {
  throw LibraryError(fmt::format("cannot {} {}: {}; without this record every life of the run would meet the same fault. "
                                 "Put --runs where every rank may write, or leave out --inject",
                                 action, log.string(), std::generic_category().message(error)));
}

std::set<std::string> struck_in(const std::filesystem::path& log) {
  std::set<std::string> keys;
  errno = 0;
  std::ifstream file(log);
  if (!file && errno != ENOENT) throw_log_error("read", log, errno);
  for (std::string line; std::getline(file, line);) {
    const std::size_t end = line.find(kEnd);
    if (end != std::string::npos) keys.insert(line.substr(0, end));
  }
  return keys;
}

/// One write, so that lines of several ranks do not mix, and on the disk before anything strikes.
void append(const std::filesystem::path& log, const std::string& line) {
  const int file = open(log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) throw_log_error("open", log, errno);
  const bool written = write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size()) && fsync(file) == 0;
  const int error = errno;
  close(file);
  if (!written) throw_log_error("write to", log, error);
}

bool is_now(const InjectClause& clause, std::int64_t step) {
  return clause.first_step == 0 || (clause.first_step <= step && step <= clause.last_step);
}

}  // namespace

Chaos::Chaos(std::vector<InjectClause> settled, int rank, std::filesystem::path log, std::uint64_t seed, bool new_run)
    : all_(std::move(settled)), rank_(rank), log_(std::move(log)), seed_(seed) {
  const std::set<std::string> struck = new_run ? std::set<std::string>() : struck_in(log_);
  for (const InjectClause& clause : all_) {
    if (clause.kind != InjectKind::nan && clause.rank != rank_) continue;
    Armed& armed = clauses_.emplace_back();
    armed.clause = clause;
    armed.done = clause.once() && struck.contains(key_of(clause));
    poisons_ = poisons_ || clause.kind == InjectKind::nan;
  }
}

void Chaos::announce(const std::string& what) const {
  std::fputs(fmt::format("[inject] rank {}: {}\n", rank_, what).c_str(), stderr);
  std::fflush(stderr);
}

/// True for one caller alone: announces and, for what strikes once, writes to the log.
bool Chaos::strikes(Armed& armed, const std::string& what) {
  if (armed.done.exchange(true)) return false;
  if (armed.clause.once())
    append(log_, fmt::format("{}{}rank {}: {}, {:%Y-%m-%dT%H:%M:%SZ}\n", key_of(armed.clause), kEnd, rank_, what,
                             fmt::gmtime(std::time(nullptr))));
  announce(what);
  return true;
}

void Chaos::before_step(std::int64_t step) {
  step_ = step;
  for (Armed& armed : clauses_) {
    const InjectClause& clause = armed.clause;
    if (clause.save > 0 || !is_now(clause, step)) continue;
    if (clause.kind == InjectKind::kill && strikes(armed, fmt::format("kill before step {}", step))) std::raise(SIGKILL);
    if (clause.kind == InjectKind::stop && strikes(armed, fmt::format("stop before step {}", step))) std::raise(SIGSTOP);
  }
}

/// Every slow clause of this rank that is in force; `part`: where its delay stands.
void Chaos::delay(std::chrono::microseconds InjectClause::*part, trace::Activity activity, std::int64_t step) {
  for (Armed& armed : clauses_) {
    const InjectClause& clause = armed.clause;
    const std::chrono::microseconds time = clause.*part;
    if (clause.kind != InjectKind::slow || time.count() == 0 || !is_now(clause, step)) continue;
    if (!armed.done) strikes(armed, fmt::format("{}, from step {}", clause.text, step));
    const trace::Doing doing(activity, fmt::format("{} (--inject)", clause.text));
    std::this_thread::sleep_for(time);
  }
}

void Chaos::before_input(std::int64_t step) { delay(&InjectClause::input, trace::Activity::input, step); }

void Chaos::before_compute(std::int64_t step) { delay(&InjectClause::compute, trace::Activity::compute, step); }

void Chaos::before_reduction(std::int64_t step) {
  if (reduced_step_.exchange(step) == step) return;  // another bucket of the same step
  delay(&InjectClause::reduce, trace::Activity::exchange, step);
  for (Armed& armed : clauses_) {
    if (armed.clause.kind != InjectKind::hang || !is_now(armed.clause, step)) continue;
    if (!strikes(armed, fmt::format("hang before the reduction of step {}", step))) continue;
    const trace::Doing doing(trace::Activity::exchange, "hang (--inject)");
    while (true) std::this_thread::sleep_for(std::chrono::seconds(1));  // until somebody ends the process
  }
}

bool Chaos::flips_after(std::int64_t step) const {
  return std::any_of(all_.begin(), all_.end(), [&](const InjectClause& clause) {
    return clause.kind == InjectKind::flip && is_now(clause, step);
  });
}

void Chaos::after_update(std::int64_t step, ModelState& state) {
  for (Armed& armed : clauses_)
    if (armed.clause.kind == InjectKind::flip && !armed.done && is_now(armed.clause, step)) flip_bit(armed, step, state);
}

void Chaos::flip_bit(Armed& armed, std::int64_t step, ModelState& state) {
  Tensor& tensor = state.parameters.at(armed.clause.tensor);
  const RandomKey key = RandomKey(seed_, "inject flip").child(static_cast<std::uint64_t>(armed.clause.number));
  const std::size_t size_bytes = tensor.size_bytes();
  const auto at = static_cast<std::size_t>(key.uniform_double(0) * static_cast<double>(size_bytes));
  const std::uint32_t bit = key.below(2, 8);
  const std::size_t element_bytes = size_bytes / static_cast<std::size_t>(tensor.shape().elements());
  if (!strikes(armed, fmt::format("flip bit {} of element {} of {} after the update of step {}",
                                  at % element_bytes * 8 + bit, at / element_bytes, armed.clause.tensor, step)))
    return;
  auto* byte = static_cast<unsigned char*>(static_cast<void*>(tensor.bytes())) + at;
  *byte = static_cast<unsigned char>(*byte ^ (1U << bit));
}

std::optional<int> Chaos::before_save(std::int64_t saves_so_far) {
  save_ = saves_so_far + 1;
  for (Armed& armed : clauses_) {
    const InjectClause& clause = armed.clause;
    if (clause.save != save_ || (clause.kind != InjectKind::enospc && clause.kind != InjectKind::eio)) continue;
    const bool full = clause.kind == InjectKind::enospc;
    if (strikes(armed, fmt::format("save {} meets {}", clause.save, full ? "a full disk" : "an I/O error")))
      return full ? ENOSPC : EIO;
  }
  return std::nullopt;
}

void Chaos::during_save(double fraction) {
  for (Armed& armed : clauses_) {
    const InjectClause& clause = armed.clause;
    if (clause.kind != InjectKind::kill || clause.save == 0 || clause.save != save_) continue;
    const double from = RandomKey(seed_, "inject kill").child(static_cast<std::uint64_t>(clause.number)).uniform_double(0);
    if (fraction < from) continue;
    if (strikes(armed, fmt::format("kill in save {}, {:.0f} % of it written", clause.save, 100 * fraction)))
      std::raise(SIGKILL);
  }
}

void Chaos::slow_save() {
  if (slow_save_.exchange(save_) == save_) return;
  delay(&InjectClause::checkpoint, trace::Activity::checkpoint, step_);
}

bool Chaos::poison(std::int64_t sample) {
  bool hit = false;
  for (Armed& armed : clauses_) {
    if (armed.clause.kind != InjectKind::nan || armed.clause.sample != sample) continue;
    hit = true;
    if (!armed.done) strikes(armed, fmt::format("sample {} is NaN, first in step {}", sample, step_.load()));
  }
  return hit;
}

std::vector<std::string> Chaos::not_struck() const {
  std::vector<std::string> missing;
  const std::set<std::string> struck = struck_in(log_);
  for (const InjectClause& clause : all_)
    if (clause.once() && !struck.contains(key_of(clause))) missing.push_back(clause.text);
  return missing;
}

std::unique_ptr<Chaos> make_chaos(Communicator& world, const ChaosOptions& options) {
  check_agreement(world, "--inject", options.spec);
  const std::filesystem::path log = options.run_folder / "injected.log";
  std::vector<InjectClause> clauses;
  std::unique_ptr<Chaos> chaos;
  agree(world, "--inject", [&] {
    InjectScene scene = options.scene;
    scene.ranks = world.size();
    clauses = parse_inject(options.spec);
    // What struck in an earlier life need not fit this one, which may have fewer ranks.
    if (!options.new_run)
      std::erase_if(clauses, [struck = struck_in(log)](const InjectClause& clause) {
        return clause.once() && struck.contains(key_of(clause));
      });
    clauses = settle_inject(std::move(clauses), scene);
  });
  if (clauses.empty()) return nullptr;
  agree(world, "injected.log", [&] {
    chaos = std::make_unique<Chaos>(std::move(clauses), world.rank(), log, options.scene.seed, options.new_run);
  });
  return chaos;
}

}  // namespace convoy
