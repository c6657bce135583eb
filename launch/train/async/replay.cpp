// An asynchronous run repeated from its log: which push was computed with which version, and in which order they were applied, is
// all that the clock decided.
#include <fmt/format.h>

#include <thread>

#include "core/tensor/error.h"
#include "launch/train/async/async_trainer.h"

namespace convoy {
namespace {

constexpr std::chrono::milliseconds kBetweenLooks{2};  // at the evaluation and the save under way

/// Units of later pushes that were computed with each version, by worker: what has to be kept of it.
std::map<std::int64_t, std::map<int, int>> uses_of(const std::vector<LogEntry>& entries) {
  std::map<std::int64_t, std::map<int, int>> uses;
  for (const LogEntry& entry : entries)
    for (const LoggedPush& push : entry.pushes)
      for (const auto& [unit, pulled] : push.units)
        if (pulled >= 0) ++uses[pulled][push.worker];
  return uses;
}

}  // namespace

/// Where workers move their own copies, each has one of its own.
Lane& AsyncTrainer::lane_of(int worker) {
  if (options_.fetch_every == 1) return *lanes_.front();
  std::unique_ptr<Lane>& lane = repeating_[worker];
  if (!lane) lane = make_lane();
  return *lane;
}

Push AsyncTrainer::repeat(const LoggedPush& logged, std::int64_t version) {
  Lane& lane = lane_of(logged.worker);
  std::int64_t pulled = -1;
  for (const auto& [unit, from] : logged.units) {
    if (unit < 0 || unit >= total_units())
      throw UsageError(fmt::format("{}: micro-batch {} of step {} was applied, but this run has {} steps; give train.epochs and train.steps "
                                   "of the run that is repeated",
                                   config_.get<std::string>("replay"), unit % spec_.virtual_workers, unit / spec_.virtual_workers + 1,
                                   spec_.last_step));
    if (from >= 0) {
      const auto found = versions_.find(from);
      if (found == versions_.end())
        throw DataError(fmt::format("{}: version {} pulled before it existed", config_.get<std::string>("replay"), from));
      lane.take(0, found->second);
      lane.took_all();
      if (pulled < 0) pulled = from;
    }
    lane.compute(*feed_->take(unit), {unit, from});
    if (options_.fetch_every > 1) lane.descend(rate_at_unit(unit));
  }
  Push push{.worker = logged.worker, .sequence = logged.sequence};
  const std::vector<Payload> slices = lane.push(push);
  push.staleness = version - pulled;
  server_->take({push.worker, push.sequence}, slices.front());
  return push;
}

/// The decision that the entry tells of, its gradients computed anew.
Decision AsyncTrainer::repeat(const LogEntry& entry) {
  Decision decision;
  decision.kind = entry.kind == LogEntry::Kind::update ? Decision::Kind::apply : Decision::Kind::drop;
  decision.version = entry.version;
  for (const LoggedPush& logged : entry.pushes) {
    decision.pushes.push_back(repeat(logged, entry.version));
    if (entry.kind == LogEntry::Kind::update) decision.pushes.back().staleness = entry.staleness;
  }
  decision.left_out = entry.left_out;
  decision.version_after = entry.version + (entry.kind == LogEntry::Kind::update ? 1 : 0);
  return decision;
}

int AsyncTrainer::replay() {
  const std::vector<LogEntry> entries = read_push_log(config_.get<std::filesystem::path>("replay"));
  if (entries.empty() || entries.front().kind != LogEntry::Kind::record)
    throw DataError(fmt::format("{}: does not begin with the record of its run", config_.get<std::string>("replay")));
  check_record(config_, {.run_record = entries.front().record}, record_, config_.get<std::string>("replay"), *progress_);
  auto uses = uses_of(entries);
  office_ = std::make_unique<PostOffice>(all_, std::vector<int>{0});
  feed_ = make_feed();
  if (lanes_.empty()) lanes_.push_back(make_lane());
  began_ns_ = trace::now();
  const auto keep = [&](std::int64_t version) {
    const auto used = uses.find(version);
    if (used == uses.end()) return;
    for (const auto& [worker, count] : used->second) versions_[version] = server_->pull(worker, version);
  };
  keep(0);
  for (const LogEntry& entry : entries) {
    if (entry.kind == LogEntry::Kind::evaluation || entry.kind == LogEntry::Kind::record) continue;  // they follow from the rest
    const Decision decision = repeat(entry);
    decision.kind == Decision::Kind::apply ? apply(decision) : drop(decision);
    for (const LoggedPush& push : entry.pushes)
      for (const auto& [unit, pulled] : push.units) {
        if (pulled < 0) continue;
        auto& by_worker = uses.at(pulled);
        if (--by_worker[push.worker] == 0) by_worker.erase(push.worker);
        if (by_worker.empty()) versions_.erase(pulled);
      }
    if (decision.version_after > decision.version) keep(decision.version_after);
    while (book_->is_behind())
      if (!book_->work()) std::this_thread::sleep_for(kBetweenLooks);
    book_->work();
  }
  if (!done_->all_finished())
    throw DataError(fmt::format("{}: the log ends after {} of {} micro-batches; a run that did not end cannot be repeated to its end",
                                config_.get<std::string>("replay"), done_->finished(), total_units()));
  while (!book_->idle())
    if (!book_->work()) std::this_thread::sleep_for(kBetweenLooks);
  say_end();
  return 0;
}

}  // namespace convoy
