#include "distributed/server/sequencer.h"

#include <algorithm>
#include <utility>

#include "core/tensor/error.h"

namespace convoy {

Sequencer::Sequencer(const SequencerOptions& options)
    : options_(options), units_(options.units), workers_(static_cast<std::size_t>(options.workers)) {
  if (options.backup > 0 && !rounds()) throw UsageError("backup workers belong to rounds: max-clock-gap = 0");
  round_end_ = std::min<std::int64_t>(options.virtual_workers + options.backup, options.units);
}

void Sequencer::restore(std::int64_t watermark, const std::vector<std::int64_t>& above, std::int64_t version) {
  units_.restore(watermark, above);
  version_ = version;
  round_end_ = std::min<std::int64_t>(watermark + options_.virtual_workers + options_.backup, options_.units);
  for (Worker& worker : workers_) worker.pulled = version;
}

void Sequencer::request(int id, bool idle, bool pulls, std::int64_t computed) {
  Worker& worker = workers_.at(at(id));
  if (!worker.alive) return;
  worker.waits = true;
  worker.idle = idle;
  worker.pulls = pulls;
  worker.computed = computed;
  waiting_.push_back(id);
}

void Sequencer::described(Push push) {
  const std::pair key(push.worker, push.sequence);
  if (!workers_.at(at(push.worker)).alive) return;
  arriving_[key].push = std::move(push);
  complete(key);
}

void Sequencer::arrived(int worker, std::int64_t sequence) {
  if (!workers_.at(at(worker)).alive) return;
  const std::pair key(worker, sequence);
  ++arriving_[key].slices;
  complete(key);
}

/// Where nothing of it is missing any more.
void Sequencer::complete(const std::pair<int, std::int64_t>& key) {
  Arrival& arrival = arriving_.at(key);
  if (arrival.slices < options_.servers || !arrival.push) return;
  complete_.push_back(std::move(arrival.push.value()));
  arriving_.erase(key);
}

void Sequencer::lose(int id) {
  Worker& worker = workers_.at(at(id));
  if (!worker.alive) return;
  worker.alive = worker.waits = false;
  std::erase(waiting_, id);
  std::erase_if(arriving_, [&](const auto& entry) { return entry.first.first == id; });
  // What waits to be applied is forgotten with it, on all servers: whoever applies it needs all of its slices for certain.
  const auto is_its = [&](const Push& push) { return push.worker == id; };
  std::erase_if(complete_, is_its);
  std::erase_if(round_, is_its);
  for (const std::int64_t unit : worker.begun) units_.give_back(unit);
  worker.begun.clear();
  units_.forget(id);
}

void Sequencer::stand_still(bool still) { still_ = still; }

int Sequencer::alive() const {
  return static_cast<int>(std::ranges::count_if(workers_, [](const Worker& worker) { return worker.alive; }));
}

std::vector<Decision> Sequencer::decide() {
  std::vector<Decision> decisions;
  if (still_) return decisions;
  rounds() ? apply_round(decisions) : apply_complete(decisions);
  grant(decisions);
  return decisions;
}

Decision Sequencer::begin_decision(Decision::Kind kind) const {
  Decision decision;
  decision.kind = kind;
  decision.version = version_;
  return decision;
}

void Sequencer::end_decision(Decision& decision) const { decision.version_after = version_; }

void Sequencer::finish(const Push& push) {
  Worker& worker = workers_.at(at(push.worker));
  for (const PushedUnit& pushed : push.units) {
    units_.finish(pushed.unit);
    std::erase(worker.begun, pushed.unit);
  }
}

Decision Sequencer::apply(std::vector<Push> pushes) {
  Decision decision = begin_decision(Decision::Kind::apply);
  for (Push& push : pushes) {
    Worker& worker = workers_.at(at(push.worker));
    std::int64_t pulled = push.units.front().pulled;
    if (pulled < 0) pulled = worker.pulled;
    for (const PushedUnit& unit : push.units)
      if (unit.pulled >= 0) worker.pulled = unit.pulled;
    push.staleness = version_ - pulled;
    finish(push);
  }
  decision.pushes = std::move(pushes);
  ++version_;
  end_decision(decision);
  return decision;
}

void Sequencer::apply_complete(std::vector<Decision>& decisions) {
  while (!complete_.empty()) {
    std::vector<Push> one{std::move(complete_.front())};
    complete_.pop_front();
    if (one.front().finite || !options_.skips) {
      decisions.push_back(apply(std::move(one)));
      continue;
    }
    Decision decision = begin_decision(Decision::Kind::drop);
    finish(one.front());
    decision.pushes = std::move(one);
    end_decision(decision);
    decisions.push_back(std::move(decision));
  }
}

/// With backup workers a run may end with fewer units than an update takes: nobody computes them.
void Sequencer::leave_rest_out(std::vector<Decision>& decisions) {
  if (units_.all_finished() || units_.total() - units_.watermark() >= options_.virtual_workers) return;
  Decision decision = begin_decision(Decision::Kind::drop);
  for (std::int64_t unit = units_.watermark(); unit < units_.total(); ++unit) decision.left_out.push_back(unit);
  for (const std::int64_t unit : decision.left_out) units_.finish(unit);
  dropped_units_ += static_cast<std::int64_t>(decision.left_out.size());
  end_decision(decision);
  decisions.push_back(std::move(decision));
}

void Sequencer::apply_round(std::vector<Decision>& decisions) {
  leave_rest_out(decisions);
  while (!complete_.empty()) {
    Push push = std::move(complete_.front());
    complete_.pop_front();
    if (units_.is_finished(push.units.front().unit)) {  // its round is over
      std::erase(workers_.at(at(push.worker)).begun, push.units.front().unit);
      Decision decision = begin_decision(Decision::Kind::drop);
      decision.pushes.push_back(std::move(push));
      end_decision(decision);
      decisions.push_back(std::move(decision));
      continue;
    }
    round_.push_back(std::move(push));
    if (static_cast<std::int64_t>(round_.size()) < options_.virtual_workers) continue;
    std::ranges::sort(round_, {}, [](const Push& each) { return each.units.front().unit; });
    Decision decision = apply(std::exchange(round_, {}));
    for (std::int64_t unit = units_.watermark(); unit < round_end_; ++unit) {
      if (units_.is_finished(unit)) continue;
      decision.left_out.push_back(unit);
      ++dropped_units_;
    }
    for (const std::int64_t unit : decision.left_out) units_.finish(unit);
    end_decision(decision);
    round_end_ = std::min<std::int64_t>(units_.watermark() + options_.virtual_workers + options_.backup, options_.units);
    decisions.push_back(std::move(decision));
    leave_rest_out(decisions);
  }
}

std::int64_t Sequencer::limit() const { return rounds() ? round_end_ : units_.total(); }

bool Sequencer::may_begin(const Worker& worker) const {
  if (options_.max_gap <= 0) return true;
  std::int64_t slowest = worker.computed;
  for (const Worker& other : workers_)
    if (other.alive) slowest = std::min(slowest, other.computed);
  return worker.started - slowest <= options_.max_gap;
}

/// Whoever asked first is served first; who may not begin yet is passed over.
void Sequencer::grant(std::vector<Decision>& decisions) {
  for (std::size_t i = 0; i < waiting_.size();) {
    if (grant(waiting_[i], decisions))
      waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(i));
    else
      ++i;
  }
}

/// Whether the worker got an answer.
bool Sequencer::grant(int id, std::vector<Decision>& decisions) {
  Worker& worker = workers_.at(at(id));
  const auto answer = [&](Decision::Kind kind) {
    worker.waits = false;
    Decision decision = begin_decision(kind);
    decision.worker = id;
    decisions.push_back(std::move(decision));
    return true;
  };
  if (units_.all_finished()) return answer(Decision::Kind::end);
  if (!may_begin(worker)) return false;
  const auto unit = units_.begin(id, limit());
  if (!unit) return !worker.idle && !rounds() && answer(Decision::Kind::flush);
  worker.begun.push_back(*unit);
  ++worker.started;
  if (worker.pulls) answer(Decision::Kind::pull);
  answer(Decision::Kind::go);
  Decision& go = decisions.back();
  go.unit = *unit;
  go.expect = units_.expect(id);
  go.pulls = worker.pulls;
  return true;
}

}  // namespace convoy
