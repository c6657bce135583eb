// Rank 0 of an asynchronous run: what the sequencer decides is carried out, logged and accounted for.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "launch/train/async/async_trainer.h"

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;

LoggedPush logged(const Push& push) {
  LoggedPush line{push.worker, push.sequence, {}};
  for (const PushedUnit& unit : push.units) line.units.emplace_back(unit.unit, unit.pulled);
  return line;
}

std::vector<PushName> names_of(const std::vector<Push>& pushes) {
  std::vector<PushName> names;
  for (const Push& push : pushes) names.emplace_back(push.worker, push.sequence);
  return names;
}

double mean_of(const std::map<std::int64_t, std::int64_t>& histogram) {
  double count = 0, sum = 0;
  for (const auto& [staleness, pushes] : histogram) {
    count += static_cast<double>(pushes);
    sum += static_cast<double>(staleness * pushes);
  }
  return count > 0 ? sum / count : 0;
}

}  // namespace

void AsyncTrainer::take_request(const Frame& frame) {
  const auto& numbers = frame.header.numbers;
  sequencer_->request(frame.header.worker, numbers[kRequestIdle] != 0, numbers[kRequestPulls] != 0, numbers[kRequestComputed]);
}

/// Whether anything happened.
bool AsyncTrainer::coordinate() {
  // Evaluations are slower than epochs: nothing moves until one is done, or states would pile up.
  sequencer_->stand_still(book_->is_behind() || stopping_);
  std::vector<Decision> decisions = sequencer_->decide();
  const bool decided = !decisions.empty();
  for (Decision& decision : decisions) {
    carry_out(std::move(decision));
    if (!failure_.empty()) return true;
  }
  if (stop_asked_ && !stopping_ && !sequencer_->is_over()) {
    stopping_ = true;
    order_snapshot({.saves = true});
  } else if (std::exchange(save_asked_, false)) {
    order_snapshot({.saves = true});
  }
  const bool worked = book_->work();
  if ((sequencer_->is_over() || stopping_) && gathering_.empty() && book_->idle()) ended_ = closing_ = true;
  return decided || worked;
}

void AsyncTrainer::carry_out(Decision decision) {
  switch (decision.kind) {
    case Decision::Kind::pull: {
      Order order{.kind = Order::Kind::pull, .worker = decision.worker, .update = {}};
      order.update.version = sequencer_->version();
      return tell(order);
    }
    case Decision::Kind::go:
    case Decision::Kind::flush:
    case Decision::Kind::end: return answer(decision.worker, decision);
    case Decision::Kind::apply: return apply(decision);
    case Decision::Kind::drop: return drop(decision);
  }
}

void AsyncTrainer::answer(int worker, const Decision& decision) {
  Frame frame{.header = {.kind = FrameKind::go, .worker = worker, .version = sequencer_->version()}, .payload = {}};
  frame.header.numbers[kGoUnit] = decision.unit;
  frame.header.numbers[kGoExpect] = decision.expect.value_or(-1);
  frame.header.numbers[kGoPulls] = decision.pulls;
  frame.header.numbers[kGoAnswer] = decision.kind == Decision::Kind::go      ? kBegin
                                    : decision.kind == Decision::Kind::flush ? kFlush
                                                                             : kEnd;
  office_->send(roles_.worker_ranks[static_cast<std::size_t>(worker)], std::move(frame));
}

/// The run ends, in order: another life would meet the same.
void AsyncTrainer::fail_for(const Push& push) {
  const std::int64_t unit = push.units.front().unit;
  failure_ = fmt::format("the gradient of micro-batch {} of step {}, from worker {} (rank {}), is not finite. Mend the learning rate or the "
                         "data{}; --device=cpu --mode=sync names the sample and the op",
                         unit % spec_.virtual_workers, unit / spec_.virtual_workers + 1, push.worker,
                         team_.world_rank(roles_.worker_ranks[static_cast<std::size_t>(push.worker)]),
                         options_.rounds() ? "" : ", or leave such pushes out: --on-nan=skip");
  ended_ = closing_ = true;
}

void AsyncTrainer::apply(const Decision& decision) {
  for (const Push& push : decision.pushes)
    if (!push.finite) return fail_for(push);
  Order order{.kind = Order::Kind::apply, .worker = -1, .update = {}};
  Update& update = order.update;
  update.version = decision.version;
  update.pushes = names_of(decision.pushes);
  update.pulled = decision.pushes.front().units.front().pulled;
  update.rate = rate_at_unit(done_->finished());
  if (options_.scales_by_staleness) update.rate /= static_cast<double>(std::max<std::int64_t>(decision.pushes.front().staleness, 1));
  tell(order);
  LogEntry entry{.kind = LogEntry::Kind::update, .version = decision.version, .pushes = {}, .staleness = decision.pushes.front().staleness,
                 .rate = update.rate, .left_out = decision.left_out};
  for (const Push& push : decision.pushes) entry.pushes.push_back(logged(push));
  log_->append(entry);
  book_->add(decision.pushes, true, update.rate, sequencer_->alive());
  book_->leave_out(decision.left_out);
  check_due(decision);
}

/// Too late for their round, or not finite and skipped; and rests of a run that make no round.
void AsyncTrainer::drop(const Decision& decision) {
  Order order{.kind = Order::Kind::drop, .worker = -1, .update = {}};
  order.update.pushes = names_of(decision.pushes);
  if (!order.update.pushes.empty()) tell(order);
  book_->leave_out(decision.left_out);
  for (const Push& push : decision.pushes) {
    if (push.finite) continue;
    ++skipped_;
    log_->append({.kind = LogEntry::Kind::skipped, .version = decision.version, .pushes = {logged(push)}, .left_out = {}});
    book_->add({push}, false, 0, sequencer_->alive());
    const std::string finding = fmt::format("the push of worker {} for micro-batch {} of step {} is not finite and was left out",
                                            push.worker, push.units.front().unit % spec_.virtual_workers,
                                            push.units.front().unit / spec_.virtual_workers + 1);
    progress_->say("nan", finding);
    book_->log(Json{{"kind", "skipped"}, {"step", book_->step()}, {"finding", finding}}.dump());
  }
  if (!decision.left_out.empty()) log_->append({.kind = LogEntry::Kind::left_out, .version = decision.version, .pushes = {}, .left_out = decision.left_out});
  check_due(decision);
}

/// After a decision about units was carried out.
void AsyncTrainer::check_due(const Decision& decision) {
  for (const Push& push : decision.pushes)
    for (const PushedUnit& pushed : push.units) done_->finish(pushed.unit);
  for (const std::int64_t unit : decision.left_out) done_->finish(unit);
  version_ = decision.version_after;
  const Due due = book_->passed(done_->finished(), done_->watermark());
  if (due.epoch >= 0) {
    if (due.evaluates) log_->append({.kind = LogEntry::Kind::evaluation, .version = version_, .pushes = {}, .left_out = {}, .epoch = due.epoch});
    if (book_->step() < spec_.last_step) log_staleness();
  }
  if (due.any()) order_snapshot(due);
}

std::map<std::string, std::string> AsyncTrainer::mode_state() const {
  if (options_.rounds() && options_.backup == 0) return {};  // as mode sync has it
  return encode_marks({.version = version_, .watermark = done_->watermark(), .entries = log_->entries(),
                       .above = {done_->above().begin(), done_->above().end()}, .clocks = book_->clocks()});
}

void AsyncTrainer::order_snapshot(const Due& due) {
  log_->flush();
  Gathering gathering{.snapshot = {.due = due, .marks = book_->marks(slice_->updates(), mode_state()), .state = {}}, .have = {}};
  ModelState& state = gathering.snapshot.state;
  state = {.parameters = clone(state_.parameters), .slots = clone(state_.slots), .state = clone(state_.state),
           .averages = clone(state_.averages), .constants = {}, .copies = {}};
  gathering_.push_back(std::move(gathering));
  tell({.kind = Order::Kind::snapshot, .worker = -1, .update = {}});
}

/// States arrive from each server in the order in which they were asked for.
void AsyncTrainer::take_state(int server, const Payload& payload) {
  const auto wants = [&](const Gathering& each) { return !each.have.contains(server); };
  const auto gathering = std::ranges::find_if(gathering_, wants);
  gathering->have.insert(server);
  put_state(layout_, slice_range(layout_, server, static_cast<int>(roles_.servers.size())), spec_.optimizer, payload.as<float>(),
            gathering->snapshot.state);
  while (!gathering_.empty() && gathering_.front().have.size() == roles_.servers.size()) {
    book_->take(std::move(gathering_.front().snapshot));
    gathering_.pop_front();
  }
}

std::string AsyncTrainer::name_of_worker(int worker) const {
  if (worker >= static_cast<int>(roles_.worker_ranks.size()) || replays()) return fmt::format("worker {}", worker);
  return fmt::format("worker {} (rank {})", worker, team_.world_rank(roles_.worker_ranks[static_cast<std::size_t>(worker)]));
}

std::string AsyncTrainer::staleness_line(int worker, const RunBook::Histogram& histogram) const {
  const std::int64_t pushes = std::accumulate(histogram.begin(), histogram.end(), std::int64_t{0},
                                              [](std::int64_t sum, const auto& entry) { return sum + entry.second; });
  constexpr std::size_t kShown = 8;
  std::string shares;
  std::size_t shown = 0;
  std::int64_t rest = pushes;
  for (const auto& [staleness, count] : histogram) {
    if (200 * count < pushes) continue;  // less than half a percent
    if (shown++ == kShown) break;
    shares += fmt::format("  {}: {:.0f} %", staleness, 100.0 * static_cast<double>(count) / static_cast<double>(std::max<std::int64_t>(pushes, 1)));
    rest -= count;
  }
  if (rest > 0) shares += fmt::format("  others: {} pushes, at most {}", rest, histogram.rbegin()->first);
  return fmt::format("{}: {} pushes, {:.2f} versions old on average:{}", name_of_worker(worker), pushes, mean_of(histogram), shares);
}

void AsyncTrainer::log_staleness() {
  Json workers = Json::array();
  for (const auto& [worker, counts] : book_->staleness()) {
    Json histogram = Json::array();
    for (const auto& [staleness, count] : counts) histogram.push_back({staleness, count});
    workers.push_back({{"worker", worker}, {"mean", mean_of(counts)}, {"histogram", histogram}});
  }
  book_->log(Json{{"kind", "staleness"}, {"step", book_->step()}, {"version", version_}, {"workers", workers}}.dump());
}

void AsyncTrainer::say_end() {
  log_staleness();
  std::string reason = stopping_ ? fmt::format("stopped by a signal after step {}; --resume=latest goes on", book_->step()) : "done";
  if (skipped_ > 0) reason += fmt::format("; {} pushes were not finite and were left out (--on-nan)", skipped_);
  for (const auto& [rank, how] : lost_) reason += fmt::format("; rank {} was left out: {}", team_.world_rank(rank), how);
  folder_->write_status(book_->status(stopping_ ? 75 : 0, reason, -1));
  if (!options_.rounds())
    for (const auto& [worker, histogram] : book_->staleness()) progress_->say("staleness", staleness_line(worker, histogram));
  if (options_.backup > 0)
    progress_->say("backup", fmt::format("{} micro-batches of {} came too late and were dropped: {} samples, which the epochs' ledgers "
                                         "count as dropped",
                                         book_->dropped_units(), total_units(), book_->dropped_samples()));
  progress_->say("train", fmt::format("{}; {} versions, {:.1f} s; {}", reason, version_,
                                      1e-9 * static_cast<double>(trace::now() - began_ns_),
                                      (folder_->path() / book_->last_checkpoint()).string()));
  if (!book_->last_digest().empty()) progress_->say("train", "digest " + book_->last_digest());
  progress_->say("checkpoint", book_->saves().summary());
  if (chaos_)
    for (const std::string& clause : chaos_->not_struck()) progress_->say("inject", clause + " struck nothing");
}

}  // namespace convoy
