// What a run does about numbers that are not finite (--on-nan) and about ranks whose parameters differ (--on-audit).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "launch/train/audit.h"
#include "launch/train/nan_hunt.h"
#include "launch/train/trainer.h"

namespace convoy {
namespace {

constexpr int kRewinds = 3;             // in a life; the fourth step that is not finite ends the run
constexpr std::int64_t kSkipsInARow = 10;

}  // namespace

bool Trainer::is_skipped(std::int64_t step) const {
  return std::find(marks_.skipped_steps.begin(), marks_.skipped_steps.end(), step) != marks_.skipped_steps.end();
}

/// Steps that were begun on the parameters of one that was not finite changed nothing; what they would do has to be done
/// anew.
void Trainer::give_up_steps() {
  const bool any = engine_->under_way() > 0;
  asked_again_ = engine_->discard();
  begun_ = step_ + 1;
  if (any) loader_.reset();  // it has delivered their samples
}

/// Every rank is here; nothing of the step was applied, nor of any after it. True: the run stands at an earlier step now;
/// false: the step is skipped. Or it ends.
bool Trainer::meet_not_finite(const StepResult& result) {
  give_up_steps();
  engine_->read_state();
  const std::unique_ptr<Loader> again = make_loader(step_, step_ + 1, 0);
  const std::string finding = fmt::format(
      "step {} (epoch {:.2f}): {}; {}", step_ + 1, exact_epoch(step_),
      std::isfinite(result.loss) ? "a gradient is not finite" : fmt::format("the loss is {}", result.loss),
      find_not_finite(*engine_, state_, *train_data_, *again, all_, step_));
  const bool bad_data = finding.find("from the op prepare") != std::string::npos;
  const auto policy = config_.get<std::string>("on-nan");
  if (policy == "skip") {
    skip_step(finding);
    engine_->go_on();
    if (!loader_ && begun_ < spec_.last_step) start_loader();
    return false;
  }
  if (policy == "rewind") {
    rewind(finding);
    return true;
  }
  throw AgreedError(
      1, -1,
      fmt::format("{}. --on-nan=stop ends the run here, {}. {}; --on-nan=skip goes on without such steps, --on-nan=rewind "
                  "goes back to a checkpoint first",
                  finding,
                  last_checkpoint_.empty() ? "before its first checkpoint" : "the newest checkpoint is " + last_checkpoint_,
                  bad_data ? "The sample itself holds such values, or is read so: mend it" : fmt::format(
                      "A smaller optim.rate ({} at this step) or a warm-up (optim.warmup-epochs) may help",
                      result.rate)),
      false);
}

/// The step and its samples count, its gradients do not.
void Trainer::skip_step(const std::string& finding) {
  const std::int64_t step = step_ + 1;
  std::int64_t row = 1;
  while (is_skipped(step - row)) ++row;
  if (row > kSkipsInARow)
    throw AgreedError(1, -1, fmt::format("{}. It is the {}th step in a row: --on-nan=skip cannot help, the parameters have "
                                         "diverged; --on-nan=rewind, or a smaller optim.rate, may",
                                         finding, row), false);
  marks_.skipped_steps.push_back(step);
  progress_->say("nan", finding + ". Skipped");
  log(nlohmann::ordered_json{{"kind", "skip"}, {"step", step}, {"finding", finding}}.dump());
}

/// Back to the newest checkpoint that verifies, or to the first values, with the step on the list of those to skip.
void Trainer::rewind(const std::string& finding) {
  const std::int64_t bad = step_ + 1;
  std::vector<std::int64_t> skipped = marks_.skipped_steps;
  if (rewinds_++ >= kRewinds)
    throw AgreedError(1, -1, fmt::format("{}. The run has gone back {} times already (skipped steps: {}): --on-nan=rewind stops "
                                         "here; a smaller optim.rate, or --on-nan=skip, may help",
                                         finding, kRewinds, fmt::join(skipped, ", ")), false);
  skipped.push_back(bad);
  const ModelState first =
      first_state(config_, training_.graph, update_, spec_.seeds.init, all_, folder_, found_, initial_digest_, *progress_);
  std::string text;
  agree(all_, "the checkpoint to go back to", [&] {
    if (!folder_) return;
    progress_->say("nan", finding + ". Going back");
    text = go_back(first);
    log(
        nlohmann::ordered_json{{"kind", "rewind"}, {"step", marks_.step}, {"bad_step", bad}, {"finding", finding}}.dump());
  });
  ledgers_ = std::make_unique<EpochLedgers>(*train_data_);
  engine_->go_on();
  take_over(all_.broadcast_string(text, 0));
  for (std::int64_t step : skipped)
    if (!is_skipped(step)) marks_.skipped_steps.push_back(step);
  loader_.reset();
  start_loader();
  progress_->restart();
  if (evaluation_is_pending()) save(evaluate_validation());
}

/// A bit that flipped in one rank's copy spoils every gradient that it sums from then on, without any other sign.
void Trainer::audit() {
  if (all_.size() == 1) return;
  engine_->read_state();
  const std::vector<AuditFinding> findings = audit_state(state_, all_, step_);
  if (findings.empty()) return;
  std::vector<std::string> sentences;
  for (const AuditFinding& finding : findings) sentences.push_back(sentence_of(finding, all_.size()));
  constexpr std::size_t kNamed = 5;
  std::string text = fmt::format("audit at step {}: {}", step_,
                                 fmt::join(sentences.begin(), sentences.begin() + static_cast<std::ptrdiff_t>(std::min(kNamed, sentences.size())), "; "));
  if (sentences.size() > kNamed) text += fmt::format("; and {} more tensors", sentences.size() - kNamed);
  const bool wants_repair = config_.get<std::string>("on-audit") == "repair";
  if (!wants_repair || !repair_by_majority(state_, findings, all_, step_)) {
    throw AgreedError(1, findings.front().majority < 0 ? -1 : findings.front().ranks.front(),
                      fmt::format("{}. A fault of memory, processor or network; {}: --resume=latest goes on from there with "
                                  "the right bits",
                                  text,
                                  last_checkpoint_.empty() ? "there is no checkpoint yet, begin again"
                                                           : "the newest checkpoint, " + last_checkpoint_ +
                                                                 ", was audited before it was written"));
  }
  engine_->write_state();
  repaired_at_.push_back(step_);
  progress_->say("audit", text + ". Repaired by the majority's copy; steps since the fault may have used wrong gradients, so "
                                 "that the bits are no longer guaranteed");
  log(nlohmann::ordered_json{{"kind", "audit"}, {"step", step_}, {"finding", text}}.dump());
}

}  // namespace convoy
