// Saving: from a copy, in the background, on rank 0. A write that fails does not end the run at once: the disk may have
// room again at the next save.
#include <fmt/format.h>

#include <thread>

#include "core/tensor/error.h"
#include "launch/train/trainer.h"

namespace convoy {
namespace {

constexpr int kFailuresInARow = 3;                       // of writes, then the run ends
constexpr std::chrono::seconds kBeforeAnotherTry{1};     // of a save that must not fail
constexpr std::chrono::seconds kHandlerWaits{1};         // for a write under way when the run fails

}  // namespace

void Trainer::start_saver() {
  if (!folder_) return;
  saver_ = std::make_unique<CheckpointSaver>(folder_->checkpoints(), config_.get<int>("checkpoint.keep"));
  Checkpoint like;
  store(state_, like);
  saver_->reserve(like);
  if (!chaos_) return;
  saver_->observe_writes([this](double fraction) {
    chaos_->slow_save();
    chaos_->during_save(fraction);
  });
}

/// Collective. Returns when the tensors are copied; they are as all ranks have them (audit).
void Trainer::save(bool is_best) {
  const KeptScalars kept = engine_->kept_scalars();
  marks_.loss_scale = kept.loss_scale;
  marks_.loss_scale_counter = kept.good_steps;
  marks_.updates = kept.updates;
  Checkpoint checkpoint = marks_;
  engine_->read_state();
  store(state_, checkpoint);
  checkpoint.step = step_;
  checkpoint.epoch = exact_epoch(step_);
  checkpoint.ledgers = ledgers_->open();
  checkpoint.run_record = record_;
  checkpoint.config = config_.text();
  checkpoint.graph_hash = training_.hash;
  checkpoint.world_size = team_.size();
  checkpoint.metrics = fmt::format("{{\"train\": {}, \"validation\": {}}}", train_metrics_, validation_metrics_);
  newest_is_best_ = is_best;
  const std::int64_t begin = monotonic_ns();
  agree(all_, "the checkpoint", [&] {
    if (!saver_) return;
    folder_->check_still_there();
    if (chaos_) {
      saver_->wait();  // the fault belongs to this save
      if (const auto error = chaos_->before_save(saves_tried_++)) saver_->inject_write_error(*error);
    }
    saver_->save(checkpoint, {.is_best = is_best, .with_digest = step_ == spec_.last_step});
  });
  stragglers_->times().add_checkpoint(1e-9 * static_cast<double>(monotonic_ns() - begin));
  take_save_reports();
}

/// Collective. The newest save is on the disk, or the run ends: where it stops there is no later save to try again.
void Trainer::complete_saves() {
  for (;;) {
    double failed = 0;
    if (saver_) {
      saver_->wait();
      failed = saver_->status().last_error.empty() ? 0 : 1;
    }
    all_.at("the end of the checkpoint's writing", step_);
    all_.all_reduce(std::span<double>(&failed, 1), ReduceOp::max);
    if (failed == 0) break;
    take_save_reports();  // throws after kFailuresInARow
    std::this_thread::sleep_for(kBeforeAnotherTry);
    save(newest_is_best_);
  }
  take_save_reports();
}

/// Collective where something failed too often; else rank 0's alone.
void Trainer::take_save_reports() {
  if (!saver_) return;
  for (const SaveReport& report : saver_->take_reports()) {
    saves_.add(report);
    log(metrics_record(report));
    if (report.good()) {
      last_checkpoint_ = "checkpoints/" + report.file.filename().string();
      if (!report.digest.empty()) last_digest_ = report.digest;
      if (saves_.saves == 1 || report.step == asked_save_)
        progress_->say("checkpoint",
                       fmt::format("step {}: {} in {}, in the background; training stood still for {}", report.step,
                                   readable_bytes(report.bytes), readable_seconds(report.write_seconds),
                                   readable_seconds(report.stall_seconds())));
      continue;
    }
    progress_->say("checkpoint",
                   fmt::format("step {} could not be saved: {}. {}{}", report.step, report.error,
                               last_checkpoint_.empty() ? "There is no checkpoint yet"
                                                        : "The newest complete one is " + last_checkpoint_,
                               saves_.failed_in_a_row < kFailuresInARow ? "; trying again at the next save" : ""));
    if (saves_.failed_in_a_row >= kFailuresInARow)
      throw LibraryError(fmt::format("{} saves in a row failed, the last at step {}: {}. {}", saves_.failed_in_a_row,
                                     report.step, report.error,
                                     last_checkpoint_.empty() ? "There is no checkpoint"
                                                              : "The newest complete one is " + last_checkpoint_));
  }
}

/// A line for metrics.jsonl. A disk that takes no more of them does not end the training.
void Trainer::log(const std::string& record) {
  if (!folder_) return;
  try {
    folder_->append_metrics(record);
  } catch (const LibraryError& error) {
    if (!metrics_lost_) progress_->say("run", fmt::format("{}; records are lost from here on", error.what()));
    metrics_lost_ = true;
  }
}

void Trainer::mark_standing() {
  const std::lock_guard lock(standing_mutex_);
  standing_.step = step_;
  standing_.epoch = exact_epoch(step_);
  standing_.checkpoint = last_checkpoint_;
}

/// "done", and what was not as it should be on the way.
std::string Trainer::done_reason() const {
  std::string reason = "done";
  if (!marks_.skipped_steps.empty())
    reason += fmt::format("; without the steps {}, which were not finite (--on-nan)", fmt::join(marks_.skipped_steps, ", "));
  if (!repaired_at_.empty())
    reason += fmt::format("; parameters were repaired after step {} (--on-audit=repair), so that the bits are not guaranteed",
                          fmt::join(repaired_at_, ", "));
  if (saves_.failed > 0) reason += fmt::format("; {} saves failed on the way", saves_.failed);
  return reason;
}

RunStatus Trainer::status(int status, const std::string& reason, int rank) const {
  RunStatus told;
  {
    const std::lock_guard lock(standing_mutex_);
    told = standing_;
  }
  if (saver_) {
    saver_->wait_for(kHandlerWaits);
    if (const auto newest = saver_->newest()) told.checkpoint = "checkpoints/" + newest->filename().string();
  }
  told.status = status;
  told.reason = reason;
  told.rank = rank;
  return told;
}

}  // namespace convoy
