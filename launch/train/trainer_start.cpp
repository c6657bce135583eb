// How a run begins: the run folder, first values or a checkpoint, and what the log's first lines say.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "launch/train/plans.h"
#include "launch/train/trainer.h"

namespace convoy {
namespace {

constexpr char kNoMetrics[] = R"({"train": null, "validation": null})";

/// Marks of a checkpoint that every rank needs, as text for the broadcast. Doubles travel as their bits.
std::string marks_text(const Checkpoint& marks, bool stream_changed, bool save_at_once) {
  nlohmann::json text{{"step", marks.step},
                      {"stream_changed", stream_changed},
                      {"save_at_once", save_at_once},
                      {"updates", marks.updates},
                      {"loss_scale", std::bit_cast<std::uint64_t>(marks.loss_scale)},
                      {"loss_scale_counter", marks.loss_scale_counter},
                      {"skipped", marks.skipped_steps},
                      {"metrics", marks.metrics},
                      {"ledgers", nlohmann::json::array()}};
  if (marks.best) text["best"] = {std::bit_cast<std::uint64_t>(marks.best->first), marks.best->second};
  for (const EpochLedger& ledger : marks.ledgers)
    text["ledgers"].push_back({ledger.epoch, ledger.count, ledger.sum, ledger.exclusive_or});
  return text.dump();
}

Checkpoint marks_from(const std::string& dumped, bool& stream_changed, bool& save_at_once) {
  const auto text = nlohmann::json::parse(dumped);
  stream_changed = text["stream_changed"];
  save_at_once = text["save_at_once"];
  Checkpoint marks;
  marks.step = text["step"];
  marks.updates = text["updates"];
  marks.loss_scale = std::bit_cast<double>(text["loss_scale"].get<std::uint64_t>());
  marks.loss_scale_counter = text["loss_scale_counter"];
  marks.skipped_steps = text["skipped"].get<std::vector<std::int64_t>>();
  marks.metrics = text["metrics"];
  if (text.contains("best"))
    marks.best = {std::bit_cast<double>(text["best"][0].get<std::uint64_t>()), text["best"][1].get<std::int64_t>()};
  for (const auto& ledger : text["ledgers"])
    marks.ledgers.push_back({ledger[0].get<std::int64_t>(), ledger[1].get<std::uint64_t>(),
                             ledger[2].get<std::uint64_t>(), ledger[3].get<std::uint64_t>()});
  return marks;
}

}  // namespace

void Trainer::introduce() {
  progress_->say("data", describe_data(train_data_->info(), validation_data_.get()));
  progress_->say("model", describe_model(training_.graph, spec_,
                                         engine_->memory_bytes() + (evaluator_ ? evaluator_->memory_bytes() : 0)));
  const Device& device = backend_->device();
  const std::string computes = device.is_host() ? fmt::format("{} threads on rank 0", threads_)
                                                : fmt::format("rank 0 on {}", device.name());
  progress_->say("world", describe_world(config_, team_, *backend_, computes));
  if (const std::string advice = backend_->advice(spec_.task.compute); !advice.empty()) progress_->say("device", advice);
}

void Trainer::begin_afresh() {
  for (const std::string& warning : folder_->start_fresh()) progress_->say("run", warning);
  // A restart that finds no checkpoint yet must not meet the same fault again; a run begun anew must.
  if (config_.get<std::string>("resume").empty()) std::filesystem::remove(folder_->path() / "injected.log");
  folder_->write_config(config_.text());
}

/// Rank 0 takes over a checkpoint. What belongs to another stream of samples than this run's is dropped.
void Trainer::go_on_from(Checkpoint checkpoint, const std::string& file) {
  restore(state_, checkpoint, true, file);
  progress_->say("resume", fmt::format("step {} from {}, written by {} ranks, digest {}", checkpoint.step, file,
                                       checkpoint.world_size, digest_of(checkpoint)));
  const bool own = lies_in(*folder_, file);
  if (own) {
    for (const std::string& warning : folder_->continue_from(checkpoint.step)) progress_->say("resume", warning);
    folder_->write_config(config_.text());
    last_checkpoint_ = "checkpoints/" + std::filesystem::path(file).filename().string();
  } else {
    begin_afresh();
  }
  save_at_once_ = !own;
  const auto differs = [&](const std::string& name) { return checkpoint.run_record[name] != record_[name]; };
  if (differs("data.fingerprint") || differs("data.samples")) checkpoint.best.reset();
  stream_changed_ = differs("batch") || differs("data.samples") || differs("data.fingerprint") ||
                    differs("data.order") || differs("seeds");
  if (stream_changed_) checkpoint.ledgers.clear();
  checkpoint.mode.clear();
  marks_ = std::move(checkpoint);
}

/// Rank 0 alone, in the midst of a run: the newest checkpoint that verifies, or the first values where there is none.
/// Returns the marks for the others.
std::string Trainer::go_back(const ModelState& first) {
  saver_->wait();
  take_save_reports();
  std::vector<std::string> warnings;
  auto found = folder_->checkpoints().newest_valid(warnings);
  for (const std::string& warning : warnings) progress_->say("resume", warning);
  if (found) {
    go_on_from(std::move(found->second), found->first.string());
  } else {
    copy_values(state_, first);
    marks_ = first_marks();
    marks_.metrics = kNoMetrics;
    begin_afresh();
    progress_->say("resume", "step 0: there is no checkpoint yet");
  }
  return marks_text(marks_, stream_changed_, save_at_once_);
}

/// What a run begins with, besides tensors.
Checkpoint Trainer::first_marks() const {
  Checkpoint marks;
  marks.loss_scale = first_loss_scale(training_);
  return marks;
}

/// Rank 0 reads and verifies, before the programs are bound: to the library plans that the checkpoint was made with.
void Trainer::look_for_checkpoint() {
  const trace::Doing starting(trace::Activity::start, "looking for a checkpoint");
  agree(all_, "the checkpoint to resume from", [&] {
    if (!folder_) return;
    std::vector<std::string> warnings;
    found_ = find_checkpoint(config_, *folder_, warnings);
    for (const std::string& warning : warnings) progress_->say("resume", warning);
  });
}

/// Rank 0 takes over what it has found; the others receive.
void Trainer::resume() {
  const trace::Doing starting(trace::Activity::start, "resuming");
  std::string text;
  agree(all_, "the checkpoint to resume from", [&] {
    if (!folder_) return;
    if (!found_) return begin_afresh();
    check_record(config_, found_->checkpoint, record_, found_->file, *progress_);
    go_on_from(std::move(found_->checkpoint), found_->file);
    found_.reset();
    text = marks_text(marks_, stream_changed_, save_at_once_);
  });
  text = all_.broadcast_string(text, 0);
  if (!text.empty()) take_over(text);
}

/// Every rank goes on where rank 0 stands.
void Trainer::take_over(const std::string& text) {
  marks_ = marks_from(text, stream_changed_, save_at_once_);
  step_ = begun_ = marks_.step;
  const auto metrics = nlohmann::json::parse(marks_.metrics);
  train_metrics_ = metrics["train"].dump();
  validation_metrics_ = metrics["validation"].dump();
  ledgers_->restore(marks_.ledgers);
  marks_.ledgers.clear();
  if (stream_changed_) ledgers_->excuse(step_ * spec_.batch / spec_.samples);
  broadcast_state(state_, all_);
  engine_->write_state();
  engine_->set_kept_scalars({marks_.loss_scale, marks_.loss_scale_counter, marks_.updates});
}

}  // namespace convoy
