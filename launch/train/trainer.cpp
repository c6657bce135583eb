#include "launch/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "distributed/agreement.h"
#include "launch/check.h"
#include "launch/check_mode.h"
#include "launch/layer_options.h"
#include "launch/train/plans.h"
#include "launch/train/signals.h"

namespace convoy {

Trainer::Trainer(const Config& config, Team& team, RunFolder* folder)
    : config_(config), team_(team), all_(team.all()), folder_(folder) {
  // Before the first step is done, data are opened and staged and programs are built, which may take longer than any step.
  all_.set_deadline(std::chrono::seconds(3 * config.get<int>("timeout")));
  progress_ = std::make_unique<Progress>(team.rank() == 0, config.get<std::int64_t>("train.log-every"), team.name());
  agree(all_, "the config", [&] {
    check_run(config_);
    check_ranks(config_, team_.size());
  });
  agree(all_, "the device and the data", [&] {
    backend_ = make_backend(config_, team_.seats(), computation_of(config_));
    open_data();
  });
  agree(all_, "the graphs", [&] { build_graphs(); });
  make_faults();
  look_for_checkpoint();
  build_engine();
  check_same_record(all_, record_);
  start_saver();
  introduce();
  stragglers_ = std::make_unique<Stragglers>(all_);
  resume();
  if (step_ < spec_.last_step) start_loader();
}

Trainer::~Trainer() = default;

void Trainer::open_data() {
  const trace::Doing starting(trace::Activity::start, "opening the data");
  train_data_ = open_dataset(dataset_options(config_, Split::train));
  spec_ = make_run_spec(config_, train_data_->info());
  validation_data_ = open_validation(config_);
  ledgers_ = std::make_unique<EpochLedgers>(*train_data_);
}

void Trainer::build_graphs() {
  training_ = build_training_graph(spec_.task, spec_.bucket_bytes, spec_.gradient_sums);
  check_layer_options(config_, training_.graph);
  check_towers(config_, training_.graph);
  spec_.optimizer.rate_factors = rate_factors(config_, training_.graph);
  update_ = make_update(training_, spec_.virtual_workers);
}

/// For batches of so many micro-batches.
UpdateGraph Trainer::make_update(const TrainingGraph& training, std::int64_t micro_batches) const {
  return build_update_graph(training.graph, training.gradients, spec_.optimizer, micro_batches,
                            guard_options(training, scales_loss(training)));
}

/// Collective.
void Trainer::make_faults() {
  InjectScene scene{.seed = config_.get<std::uint64_t>("seed"),
                    .last_step = spec_.last_step,
                    .samples = train_data_->info().stored_samples};
  if (train_data_->info().samples < train_data_->info().stored_samples)
    scene.held_out = [share = config_.get<double>("data.validation")](std::int64_t id) { return is_held_out(id, share); };
  for (Value parameter : training_.graph.with_role(Role::parameter))
    scene.parameters.push_back(training_.graph.info(parameter).name);
  chaos_ = make_chaos(all_, {.spec = config_.get<std::string>("inject"),
                             .run_folder = config_.get<std::filesystem::path>("runs") / config_.get<std::string>("run"),
                             .new_run = config_.get<std::string>("resume").empty(),
                             .scene = std::move(scene)});
}

/// Collective.
void Trainer::build_engine() {
  const trace::Doing starting(trace::Activity::start, "building the programs");
  state_ = first_state(config_, training_.graph, update_, spec_.seeds.init, all_, folder_, found_, initial_digest_, *progress_);
  marks_ = first_marks();
  const std::string plans = found_ ? recorded_plans(found_->checkpoint.run_record) : "";
  bind_alike(all_, *backend_, plans, [&] { build_programs(); });
  agree(all_, "the reduction", [&] { engine_->connect(all_); });
  record_ = make_run_record(config_, spec_, train_data_->info(), *backend_, training_.hash);
  if (!initial_digest_.empty()) record_["init-from"] = initial_digest_;
}

void Trainer::build_programs() {
  const auto [first, last] = leaves();
  const auto [first_replica, last_replica] = share_of(team_.rank(), team_.size(), 0, spec_.local.replicas);
  threads_ = backend_->device().is_host()
                 ? threads_for(config_.get<int>("device.threads"),
                               std::max(usable_cores() / spec_.threads_per_micro_batch, 1), team_.ranks_on_host(), last - first)
                 : 1;
  EngineOptions options{.mode = spec_.mode,
                        .local = spec_.local,
                        .first_replica = first_replica,
                        .last_replica = last_replica,
                        .tower = spec_.mode == Mode::model && team_.size() > 1 ? team_.rank() % 2 : -1,
                        .bucket_bytes = spec_.bucket_bytes,
                        .gradient_sums = spec_.gradient_sums,
                        .make_update = [this](const TrainingGraph& training,
                                              std::int64_t micro_batches) { return make_update(training, micro_batches); },
                        .first_leaf = first,
                        .last_leaf = last,
                        .virtual_workers = spec_.virtual_workers,
                        .threads = threads_,
                        .threads_per_micro_batch = spec_.threads_per_micro_batch,
                        .reduction = config_.get<std::string>("reduction") == "fast" ? ReductionKind::fast
                                                                                    : ReductionKind::deterministic,
                        .transport = transport_options(config_, team_.on_one_host(), team_.rank() == 0),
                        .classes = spec_.task.classes};
  if (chaos_) {
    if (chaos_->poisons()) options.poison = [this](std::int64_t id) { return chaos_->poison(id); };
    options.before_input = [this](std::int64_t step) { chaos_->before_input(step); };
    options.before_compute = [this](std::int64_t step) { chaos_->before_compute(step); };
    options.before_exchange = [this](std::int64_t step) { chaos_->before_reduction(step); };
  }
  memory_ = std::make_unique<StateMemory>(state_, backend_->device());
  engine_ = make_step_engine(training_, update_, *backend_, *memory_, options);
  if (validation_data_)
    evaluator_ = std::make_unique<Evaluator>(
        std::vector<EvaluatedModel>{{&spec_.task, memory_.get()}}, *backend_,
        EvaluatorOptions{.threads = threads_, .loader_threads = config_.get<int>("data.threads"), .augment = spec_.augment});
}

void Trainer::start_loader() {
  loader_ = make_loader(begun_, spec_.last_step, config_.get<int>("data.threads"));
}

/// This rank's micro-batches.
std::pair<int, int> Trainer::leaves() const {
  return leaves_of_rank(spec_.mode, spec_.local, team_.rank(), team_.size(), spec_.virtual_workers);
}

/// Of this rank's micro-batches of the steps [first, last).
std::unique_ptr<Loader> Trainer::make_loader(std::int64_t first_step, std::int64_t last_step, int threads) const {
  const auto [first, last] = leaves();
  const TrainingStream stream{.order_seed = spec_.seeds.order,
                              .order = spec_.order,
                              .augment = spec_.augment,
                              .batch = spec_.batch,
                              .virtual_workers = spec_.virtual_workers,
                              .first_worker = first,
                              .last_worker = last,
                              .first_step = first_step,
                              .last_step = last_step};
  return make_training_loader(*train_data_, stream, {.threads = threads, .depth = 2});
}

double Trainer::exact_epoch(std::int64_t step) const {
  return static_cast<double>(step) * static_cast<double>(spec_.batch) / static_cast<double>(spec_.samples);
}

/// Steps done when epoch e has ended: the first s + 1 with (s + 1) B >= (e + 1) N.
std::int64_t Trainer::epoch_end(std::int64_t epoch) const {
  return ((epoch + 1) * spec_.samples + spec_.batch - 1) / spec_.batch;
}

Standing Trainer::standing() const {
  return {.step = step_,
          .last_step = spec_.last_step,
          .epoch = exact_epoch(step_),
          .epochs = exact_epoch(spec_.last_step),
          .rate = rate_,
          .batch = spec_.batch,
          .loss_scale = loss_scale_,
          .world_size = team_.size(),
          .booked_bytes = engine_->memory_bytes()};
}

/// Whether something that needs one model falls to this step: its own, or what fell to steps before it that had none.
bool Trainer::falls_to(std::int64_t step, const std::function<bool(std::int64_t)>& is_due) const {
  if (!engine_->is_one_model_after(step)) return false;
  do {
    if (is_due(step)) return true;
    --step;
  } while (step > 0 && !engine_->is_one_model_after(step));
  return false;
}

bool Trainer::save_is_due(std::int64_t step) const {
  return falls_to(step, [this](std::int64_t at) { return save_is_wanted(at); });
}

bool Trainer::save_is_wanted(std::int64_t step) const {
  const auto every_steps = config_.get<std::int64_t>("checkpoint.every-steps");
  const auto every_epochs = config_.get<std::int64_t>("checkpoint.every-epochs");
  const std::int64_t epoch = (step - 1) * spec_.batch / spec_.samples;
  return step == spec_.last_step || (every_steps && step % every_steps == 0) ||
         (step == epoch_end(epoch) && every_epochs && (epoch + 1) % every_epochs == 0);
}

bool Trainer::audit_is_due(std::int64_t step) const {
  const auto every = config_.get<std::int64_t>("train.audit-every");
  return falls_to(step, [every](std::int64_t at) { return every && at % every == 0; });
}

bool Trainer::flip_is_due(std::int64_t step) const {
  return chaos_ && falls_to(step, [this](std::int64_t at) { return chaos_->flips_after(at); });
}

/// Whether the state after `step` steps is looked at, so that no later one may have begun.
bool Trainer::stands_still_after(std::int64_t step) const {
  return save_is_due(step) || audit_is_due(step) || step == epoch_end((step - 1) * spec_.batch / spec_.samples) ||
         flip_is_due(step);
}

/// As far ahead as the engine goes, but not past a step after which the run stands still.
void Trainer::begin_steps() {
  while (begun_ < spec_.last_step && engine_->under_way() < engine_->depth()) {
    if (engine_->under_way() > 0 && (checkpoint_asked_ || stop_asked_ || stands_still_after(begun_))) return;
    begin_step();
  }
}

void Trainer::begin_step() {
  const std::int64_t step = begun_ + 1;
  all_.at("step", step);
  trace::at_step(step);
  if (chaos_) chaos_->before_step(step);
  Requests asked = take_asked();
  for (std::size_t i = 0; i < asked.size(); ++i) asked[i] = std::max(asked[i], asked_again_[i]);
  asked_again_ = {};
  engine_->begin({.step = begun_,
                  .rate = rate_at(spec_.schedule, {.step = begun_,
                                                   .total_steps = spec_.epoch_steps,
                                                   .batch = spec_.batch,
                                                   .samples = spec_.samples}),
                  .wanted = !is_skipped(step),
                  .asked = asked,
                  .loader = loader_.get()});
  ++begun_;
}

/// Of the oldest step under way.
Trainer::StepOutcome Trainer::end_step() {
  const StepResult result = engine_->take();
  rate_ = result.rate;
  loss_scale_ = result.loss_scale;
  checkpoint_asked_ = checkpoint_asked_ || result.asked[kAskCheckpoint] > 0;
  stop_asked_ = stop_asked_ || result.asked[kAskStop] > 0;
  StepOutcome outcome;
  if (result.halted) {
    outcome.rewound = meet_not_finite(result);
    if (outcome.rewound) return outcome;
  } else if (result.wanted && !result.finite) {
    progress_->add_overflow();  // of the scaled loss: the next step has a smaller scale
  }
  if (result.applied) {
    if (flip_is_due(step_ + 1)) flip_bits();
    progress_->add(result.loss, result.weight, result.top1, result.parts.input, result.parts.communication);
  }
  ledgers_->add(result.ledgers);
  ++step_;
  stragglers_->times().add(result.parts, result.seconds, result.arrival_ns);
  if (engine_->under_way() == 0 && engine_->is_one_model_after(step_)) {
    outcome.checkpoint = std::exchange(checkpoint_asked_, false);
    outcome.stop = stop_asked_;
  }
  return outcome;
}

void Trainer::flip_bits() {
  engine_->read_state();
  falls_to(step_ + 1, [this](std::int64_t at) {
    chaos_->after_update(at, state_);
    return false;  // all of them
  });
  engine_->write_state();
}

bool Trainer::evaluate_validation() {
  if (!validation_data_) return false;
  const trace::Doing evaluating(trace::Activity::evaluate, "the validation split");
  const std::int64_t begin = monotonic_ns();
  engine_->gather_state();
  const EvaluationResult result = evaluator_->run(*validation_data_, all_);
  const double seconds = 1e-9 * static_cast<double>(monotonic_ns() - begin);
  const double epoch = exact_epoch(step_);
  progress_->say("validation", fmt::format("epoch {:.2f}  loss {:.4f}  top-1 {:.2f} %  top-5 {:.2f} %  ({} samples)",
                                           epoch, result.loss, 100 * result.top1, 100 * result.top5, result.samples));
  validation_metrics_ = nlohmann::ordered_json{{"kind", "validation"}, {"step", step_},         {"epoch", epoch},
                                         {"loss", result.loss},  {"top1", result.top1}, {"top5", result.top5},
                                         {"samples", result.samples}, {"seconds", seconds}}
                      .dump();
  log(validation_metrics_);
  if (marks_.best && result.top1 <= marks_.best->first) return false;
  marks_.best = {result.top1, step_};
  return true;
}

void Trainer::finish_step(const StepOutcome& outcome) {
  mark_standing();
  const Standing now = standing();
  if (progress_->due(now)) {
    const StragglerReport& report = stragglers_->record(step_);
    const std::string record = progress_->record(now, report);
    for (const std::string& text : report.news) progress_->say("slow", text);
    log(record);
    train_metrics_ = record;
  } else {
    progress_->refresh(now);
  }
  progress_->pause();
  const std::int64_t epoch = last_epoch();
  const bool epoch_ended = step_ == epoch_end(epoch);
  const bool saves = save_is_due(step_) || outcome.checkpoint || outcome.stop;
  if (saves || audit_is_due(step_)) audit();
  if (epoch_ended || saves) ledgers_->merge(epoch, (step_ * spec_.batch - 1) / spec_.samples, all_);
  if (epoch_ended) ledgers_->close(epoch);
  // What was trained is safe before the validation begins, which may take long; a resume makes up for a missing one.
  const bool evaluates = epoch_ended && validation_data_;
  if (outcome.checkpoint) asked_save_ = step_;
  if (saves) save(false);
  if (evaluates && !outcome.stop) {
    const bool is_best = evaluate_validation();
    if (saves || is_best) save(is_best);
  }
  if (outcome.stop || step_ == spec_.last_step) complete_saves();
  take_save_reports();
  mark_standing();
  if (step_ == spec_.last_step && folder_) progress_->say("train", "digest " + last_digest_);
  progress_->go_on();
}

/// Of the last step's first sample.
std::int64_t Trainer::last_epoch() const { return (step_ - 1) * spec_.batch / spec_.samples; }

/// The run was ended between an epoch's last step and its validation.
bool Trainer::evaluation_is_pending() const {
  if (!validation_data_ || step_ == 0 || step_ != epoch_end(last_epoch())) return false;
  const auto newest = nlohmann::json::parse(validation_metrics_);
  return newest.is_null() || newest["step"] != step_;
}

/// Collective. In this life. The library's own all-reduce tells nobody what it sends.
void Trainer::tell_traffic() {
  const std::optional<Traffic> own = engine_->traffic();
  if (!own || all_.size() == 1 || begun_ == first_step_ || config_.get<std::string>("reduction") == "fast") return;
  progress_->say("traffic", sentence_of(sum_over_ranks(*own, all_, step_), all_.size(), begun_ - first_step_));
}

int Trainer::run() {
  first_step_ = begun_;
  mark_standing();
  if (evaluation_is_pending() || save_at_once_) {
    save(evaluation_is_pending() && evaluate_validation());
    complete_saves();
  }
  if (step_ >= spec_.last_step)
    progress_->say("train", fmt::format("nothing to do: the run has {} of {} steps", step_, spec_.last_step));
  progress_->go_on();  // only steps count as training time
  while (step_ < spec_.last_step) {
    begin_steps();
    const StepOutcome outcome = end_step();
    if (outcome.rewound) continue;
    all_.set_deadline(std::chrono::seconds(config_.get<int>("timeout")));  // the first step is behind us
    finish_step(outcome);
    if (outcome.stop && step_ < spec_.last_step) {
      const std::string reason = fmt::format("stopped by a signal after step {}; --resume=latest goes on", step_);
      progress_->say("train", reason + ", checkpoint " + last_checkpoint_);
      if (folder_) folder_->write_status(status(75, reason, -1));
      return 75;
    }
  }
  tell_traffic();
  if (folder_) {
    folder_->write_status(status(0, done_reason(), -1));
    if (const std::int64_t overflows = progress_->overflows(); overflows > 0)
      progress_->say("train", fmt::format("{} of the steps were not applied: the scaled gradient overflowed; the loss scale is {:g}",
                                          overflows, engine_->kept_scalars().loss_scale));
    progress_->say("train", fmt::format("done: {} steps, {:.4g} epochs; {}", step_, exact_epoch(step_),
                                        (folder_->path() / last_checkpoint_).string()));
    progress_->say("checkpoint", saves_.summary());
    if (const std::string summary = stragglers_->summary(); !summary.empty()) progress_->say("slow", summary);
    if (chaos_)
      for (const std::string& clause : chaos_->not_struck()) progress_->say("inject", clause + " struck nothing");
  }
  return 0;
}

}  // namespace convoy
