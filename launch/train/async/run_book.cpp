#include "launch/train/async/run_book.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "io/ledger.h"

namespace convoy {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kFailuresInARow = 3;                         // of saves, then the run ends
constexpr std::int64_t kBeforeAnotherTry = 1'000'000'000;  // ns
constexpr std::chrono::seconds kHandlerWaits{1};           // for a write under way when the run fails

std::vector<EpochLedger> ledgers_of(const std::vector<SeenSamples>& seen) {
  std::vector<EpochLedger> ledgers;
  for (const SeenSamples& part : seen) ledgers.push_back({part.epoch, part.count, part.sum, part.exclusive_or});
  return ledgers;
}

}  // namespace

RunBook::RunBook(const Config& config, const RunSpec& spec, const Dataset& data, RunFolder& folder, Progress& progress,
                 Communicator& alone, BackgroundEvaluator* evaluator, const RunRecord& record, const std::string& graph_hash,
                 int world_size)
    : config_(config),
      spec_(spec),
      data_(data),
      folder_(folder),
      progress_(progress),
      alone_(alone),
      evaluator_(evaluator),
      record_(record),
      graph_hash_(graph_hash),
      world_size_(world_size),
      order_(spec.seeds.order, spec.samples, spec.order),
      ledgers_(std::make_unique<EpochLedgers>(data)),
      saver_(folder.checkpoints(), config.get<int>("checkpoint.keep")) {}

void RunBook::reserve(const ModelState& state) {
  Checkpoint like;
  store(state, like);
  saver_.reserve(like);
}

void RunBook::begin_afresh() {
  for (const std::string& warning : folder_.start_fresh()) progress_.say("run", warning);
  if (config_.get<std::string>("resume").empty()) std::filesystem::remove(folder_.path() / "injected.log");
  folder_.write_config(config_.text());
}

void RunBook::go_on_from(const Checkpoint& checkpoint, const std::string& file, bool own) {
  progress_.say("resume", fmt::format("step {} from {}, written by {} ranks, digest {}", checkpoint.step, file,
                                      checkpoint.world_size, digest_of(checkpoint)));
  if (own) {
    for (const std::string& warning : folder_.continue_from(checkpoint.step)) progress_.say("resume", warning);
    folder_.write_config(config_.text());
    last_checkpoint_ = "checkpoints/" + std::filesystem::path(file).filename().string();
  } else {
    begin_afresh();
  }
  step_ = checkpoint.step;
  best_ = checkpoint.best;
  ledgers_->restore(checkpoint.ledgers);
  const auto metrics = nlohmann::json::parse(checkpoint.metrics);
  train_metrics_ = metrics["train"].dump();
  validation_metrics_ = metrics["validation"].dump();
  while (epoch_end(epoch_) <= step_) ++epoch_;
  mark_standing();
}

double RunBook::exact_epoch(std::int64_t step) const {
  return static_cast<double>(step) * static_cast<double>(spec_.batch) / static_cast<double>(spec_.samples);
}

/// Steps that are done when the epoch is over.
std::int64_t RunBook::epoch_end(std::int64_t epoch) const {
  return ((epoch + 1) * spec_.samples + spec_.batch - 1) / spec_.batch;
}

/// That the run touches.
std::int64_t RunBook::last_epoch() const { return (spec_.last_step * spec_.batch - 1) / spec_.samples; }

bool RunBook::save_is_due(std::int64_t step) const {
  const auto every_steps = config_.get<std::int64_t>("checkpoint.every-steps");
  const auto every_epochs = config_.get<std::int64_t>("checkpoint.every-epochs");
  const std::int64_t epoch = (step - 1) * spec_.batch / spec_.samples;
  return step == spec_.last_step || (every_steps && step % every_steps == 0) ||
         (step == epoch_end(epoch) && every_epochs && (epoch + 1) % every_epochs == 0);
}

void RunBook::add(const std::vector<Push>& pushes, bool applied, double rate, int workers) {
  const double share = 1.0 / std::max(workers, 1);
  for (const Push& push : pushes) {
    ledgers_->add(ledgers_of(push.seen));
    clocks_[push.worker] += static_cast<std::int64_t>(push.units.size());
    input_ += share * push.input_seconds;
    pull_ += share * push.pull_seconds;
    if (!applied) continue;
    ++staleness_[push.worker][push.staleness];
    applied_units_ += static_cast<std::int64_t>(push.units.size());
    loss_ += push.loss;
    weight_ += push.weight;
    top1_ += push.top1;
  }
  if (applied) rate_ = rate;
}

void RunBook::leave_out(const std::vector<std::int64_t>& units) {
  const std::int64_t rows = spec_.batch / spec_.virtual_workers;
  dropped_units_ += static_cast<std::int64_t>(units.size());
  for (const std::int64_t unit : units) {
    LedgerBook book;
    book.add_positions(order_, data_, unit * rows, (unit + 1) * rows);
    ledgers_->add(book.open());  // they are accounted for, as dropped
    for (const EpochLedger& part : book.open()) {
      EpochLedger& dropped = dropped_.try_emplace(part.epoch, EpochLedger{.epoch = part.epoch}).first->second;
      dropped.count += part.count;
      dropped_samples_ += static_cast<std::int64_t>(part.count);
    }
  }
}

void RunBook::end_step(bool last) {
  ++step_;
  if (last)
    progress_.add(std::exchange(loss_, 0), std::exchange(weight_, 0), std::exchange(top1_, 0), std::exchange(input_, 0),
                  std::exchange(pull_, 0));
  else
    progress_.add(0, 0, 0, 0, 0);
  const Standing now{.step = step_, .last_step = spec_.last_step, .epoch = exact_epoch(step_), .epochs = exact_epoch(spec_.last_step),
                     .rate = rate_, .batch = spec_.batch, .loss_scale = 1, .world_size = world_size_, .booked_bytes = booked_bytes_};
  if (progress_.due(now)) {
    train_metrics_ = progress_.record(now, {});
    log(train_metrics_);
  } else {
    progress_.refresh(now);
  }
}

Due RunBook::passed(std::int64_t finished, std::int64_t watermark) {
  Due due;
  const std::int64_t done = finished / spec_.virtual_workers;
  while (step_ < done) {
    end_step(step_ + 1 == done);
    due.saves = due.saves || save_is_due(step_);
  }
  close_epochs(watermark, due);
  mark_standing();
  return due;
}

/// An epoch is over when all units below its end are done; those of the next may have begun.
void RunBook::close_epochs(std::int64_t watermark, Due& due) {
  const std::int64_t rows = spec_.batch / spec_.virtual_workers;
  while (epoch_ <= last_epoch() && watermark * rows >= epoch_end(epoch_) * spec_.batch) {
    ledgers_->merge(epoch_, last_epoch() + 1, alone_);  // a fast worker may be far ahead
    ledgers_->close(epoch_);
    const auto dropped = static_cast<std::int64_t>(dropped_[epoch_].count);
    log(Json{{"kind", "ledger"}, {"step", step_}, {"epoch", epoch_}, {"samples", spec_.samples - dropped}, {"dropped", dropped}}.dump());
    dropped_.erase(epoch_);
    due.epoch = epoch_++;
    due.evaluates = evaluator_ != nullptr;
  }
}

Checkpoint RunBook::marks(std::int64_t updates, const std::map<std::string, std::string>& mode) const {
  Checkpoint marks;
  ledgers_->merge(epoch_, last_epoch() + 1, alone_);
  marks.step = step_;
  marks.epoch = exact_epoch(step_);
  marks.updates = updates;
  marks.best = best_;
  marks.ledgers = ledgers_->open();
  marks.run_record = record_;
  marks.mode = mode;
  marks.config = config_.text();
  marks.graph_hash = graph_hash_;
  marks.world_size = world_size_;
  return marks;
}

void RunBook::take(Snapshot snapshot) {
  if (snapshot.due.saves) enqueue(snapshot, false);
  if (snapshot.due.evaluates) snapshots_.push_back(std::move(snapshot));
}

void RunBook::enqueue(const Snapshot& snapshot, bool is_best) {
  Save save{snapshot.marks, is_best};
  store(snapshot.state, save.checkpoint);
  save.checkpoint.best = best_;
  save.checkpoint.metrics = fmt::format("{{\"train\": {}, \"validation\": {}}}", train_metrics_, validation_metrics_);
  std::erase_if(saves_waiting_, [&](const Save& older) { return older.checkpoint.step == save.checkpoint.step; });
  saves_waiting_.push_back(std::move(save));
}

bool RunBook::work() {
  const bool evaluated = work_on_snapshots();
  return work_on_saves() || evaluated;
}

bool RunBook::work_on_snapshots() {
  if (snapshots_.empty()) return false;
  if (!evaluating_) {
    evaluator_->begin(snapshots_.front().state);
    return evaluating_ = true;
  }
  if (evaluator_->busy()) return false;
  const auto outcome = evaluator_->take();
  if (!outcome) return false;
  evaluating_ = false;
  const Snapshot snapshot = std::move(snapshots_.front());
  snapshots_.pop_front();
  const bool is_best = note_evaluation(snapshot, *outcome);
  if (snapshot.due.saves || is_best) enqueue(snapshot, is_best);
  return true;
}

/// Whether it is the best so far.
bool RunBook::note_evaluation(const Snapshot& snapshot, const BackgroundEvaluator::Outcome& outcome) {
  const EvaluationResult& result = outcome.result;
  progress_.say("validation",
                fmt::format("epoch {:.2f}  loss {:.4f}  top-1 {:.2f} %  top-5 {:.2f} %  ({} samples)", snapshot.marks.epoch,
                            result.loss, 100 * result.top1, 100 * result.top5, result.samples));
  validation_metrics_ = Json{{"kind", "validation"}, {"step", snapshot.marks.step}, {"epoch", snapshot.marks.epoch},
                             {"loss", result.loss}, {"top1", result.top1}, {"top5", result.top5},
                             {"samples", result.samples}, {"seconds", outcome.seconds}}
                            .dump();
  log(validation_metrics_);
  if (best_ && result.top1 <= best_->first) return false;
  best_ = {result.top1, snapshot.marks.step};
  return true;
}

bool RunBook::work_on_saves() {
  if (saving_) {
    if (!saver_.wait_for(std::chrono::seconds(0))) return false;
    take_reports();
    saving_.reset();
    return true;
  }
  if (saves_waiting_.empty() || trace::now() < try_again_at_ns_) return false;
  folder_.check_still_there();
  saving_ = std::move(saves_waiting_.front());
  saves_waiting_.pop_front();
  if (before_save_)
    if (const auto error = before_save_(saves_tried_++)) saver_.inject_write_error(*error);
  saver_.save(saving_->checkpoint, {.is_best = saving_->is_best, .with_digest = saving_->checkpoint.step == spec_.last_step});
  return true;
}

void RunBook::take_reports() {
  for (const SaveReport& report : saver_.take_reports()) {
    saves_.add(report);
    log(metrics_record(report));
    if (report.good()) {
      last_checkpoint_ = "checkpoints/" + report.file.filename().string();
      if (!report.digest.empty()) last_digest_ = report.digest;
      if (saves_.saves == 1)
        progress_.say("checkpoint", fmt::format("step {}: {} in {}, in the background; the servers stood still for {}", report.step,
                                                readable_bytes(report.bytes), readable_seconds(report.write_seconds),
                                                readable_seconds(report.stall_seconds())));
      mark_standing();
      continue;
    }
    const std::string newest =
        last_checkpoint_.empty() ? "There is no checkpoint yet" : "The newest complete one is " + last_checkpoint_;
    if (saves_.failed_in_a_row >= kFailuresInARow)
      throw LibraryError(fmt::format("{} saves in a row failed, the last at step {}: {}. {}", saves_.failed_in_a_row, report.step,
                                     report.error, newest));
    progress_.say("checkpoint", fmt::format("step {} could not be saved: {}. {}; trying again", report.step, report.error, newest));
    try_again_at_ns_ = trace::now() + kBeforeAnotherTry;
    const bool is_newer = std::ranges::any_of(saves_waiting_, [&](const Save& save) { return save.checkpoint.step >= report.step; });
    if (!is_newer && saving_) saves_waiting_.push_back(*saving_);
  }
}

bool RunBook::idle() const { return snapshots_.empty() && saves_waiting_.empty() && !saving_; }

void RunBook::log(const std::string& record) {
  try {
    folder_.append_metrics(record);
  } catch (const LibraryError& error) {
    if (!metrics_lost_) progress_.say("run", fmt::format("{}; records are lost from here on", error.what()));
    metrics_lost_ = true;
  }
}

void RunBook::mark_standing() {
  const std::lock_guard lock(standing_mutex_);
  standing_.step = step_;
  standing_.epoch = exact_epoch(step_);
  standing_.checkpoint = last_checkpoint_;
}

RunStatus RunBook::status(int status, const std::string& reason, int rank) const {
  RunStatus told;
  {
    const std::lock_guard lock(standing_mutex_);
    told = standing_;
  }
  saver_.wait_for(kHandlerWaits);
  if (const auto newest = saver_.newest()) told.checkpoint = "checkpoints/" + newest->filename().string();
  told.status = status;
  told.reason = reason;
  told.rank = rank;
  return told;
}

}  // namespace convoy
