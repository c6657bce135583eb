#include "launch/train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/optim/scalars.h"
#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "distributed/agreement.h"
#include "launch/check.h"
#include "launch/train/signals.h"

namespace convoy {
namespace {

std::string record_text(const RunRecord& record) {
  std::string text;
  for (const auto& [name, value] : record) text += fmt::format("{} = {}\n", name, value);
  return text;
}

}  // namespace

Trainer::Trainer(const Config& config, World& world, RunFolder* folder)
    : config_(config), world_(world), all_(world.all()), folder_(folder), scalars_({kStepScalars}, DType::f64) {
  // Before the first step is done, data are opened and staged and programs are built, which may take longer than any step.
  all_.set_deadline(std::chrono::seconds(3 * config.get<int>("timeout")));
  const bool speaks = world.rank() == 0;
  progress_ = std::make_unique<Progress>(speaks, config.get<std::int64_t>("train.log-every"));
  agree(all_, "the config", [&] {
    check_run(config_);
    check_ranks(config_, world_.size());
  });
  const Seats seats = find_seats(config_, all_, world_.host());
  agree(all_, "the device and the data", [&] {
    backend_ = make_backend(config_, seats);
    open_data();
  });
  agree(all_, "the graphs", [&] { build_graphs(); });
  make_faults();
  agree(all_, "the programs", [&] { build_engine(); });
  check_agreement(all_, "run record", record_text(record_));
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
  training_ = build_training_graph(spec_.task, spec_.bucket_bytes);
  update_ = build_update_graph(training_.graph, training_.gradients, spec_.sgd, spec_.virtual_workers);
  record_ = make_run_record(config_, spec_, train_data_->info(), *backend_, graph_hash(training_.graph));
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

void Trainer::build_engine() {
  const trace::Doing starting(trace::Activity::start, "building the programs");
  const std::vector<std::string> hosts = all_.all_gather_strings(world_.host());
  ranks_on_node_ = static_cast<int>(std::count(hosts.begin(), hosts.end(), world_.host()));
  const auto [first, last] = share_of(world_.rank(), world_.size(), 0, spec_.virtual_workers);
  threads_ = threads_for(config_.get<int>("device.threads"),
                         std::max(usable_cores() / spec_.threads_per_micro_batch, 1), ranks_on_node_, last - first);
  state_ = initial_state(training_.graph, update_, spec_.seeds.init, all_);
  WorkersOptions workers{.threads = threads_,
                         .threads_per_micro_batch = spec_.threads_per_micro_batch,
                         .first_leaf = first,
                         .last_leaf = last};
  ReducerOptions reduction{.kind = config_.get<std::string>("reduction") == "fast" ? ReductionKind::fast
                                                                                  : ReductionKind::deterministic,
                           .virtual_workers = spec_.virtual_workers,
                           .bucket_elements = Workers::bucket_elements(training_),
                           .threads = threads_};
  if (chaos_) {
    if (chaos_->poisons()) workers.poison = [this](std::int64_t id) { return chaos_->poison(id); };
    workers.before_input = [this](std::int64_t step) { chaos_->before_input(step); };
    workers.before_compute = [this](std::int64_t step) { chaos_->before_compute(step); };
    reduction.before_exchange = [this](std::int64_t step) { chaos_->before_reduction(step); };
  }
  workers_ = std::make_unique<Workers>(training_, *backend_, state_, workers);
  reducer_ = make_reducer(all_, reduction);
  bind_update_program();
  if (validation_data_)
    evaluator_ = std::make_unique<Evaluator>(spec_.task, *backend_, state_, spec_.augment,
                                             EvaluatorOptions{.threads = threads_,
                                                              .loader_threads = config_.get<int>("data.threads")});
}

void Trainer::bind_update_program() {
  update_program_ = std::make_unique<Program>(update_.graph, *backend_, ProgramOptions{});
  update_program_->bind_memory(update_.scalars, scalars_.bytes());
  for (const UpdateGraph::Parameter& parameter : update_.parameters) {
    update_program_->bind_memory(parameter.weight, state_.parameters.at(parameter.name).bytes());
    update_program_->bind_memory(parameter.velocity, state_.velocities.at("momentum/" + parameter.name).bytes());
  }
  for (const UpdateGraph::Statistic& statistic : update_.statistics)
    update_program_->bind_memory(statistic.running, state_.state.at(statistic.name).bytes());
}

/// Where the reducer left its sums may differ from step to step.
void Trainer::bind_sums() {
  std::vector<const float*> results;
  for (int bucket = 0; bucket < training_.buckets.buckets(); ++bucket)
    results.push_back(reducer_->result(bucket).data());
  if (results == bound_results_) return;
  bound_results_ = results;
  const auto sum = [&](Value leaf) {
    const LeafSlot& slot = training_.buckets.slot_of(leaf);
    return const_cast<float*>(results[static_cast<std::size_t>(slot.bucket)]) + slot.offset;  // only read by updates
  };
  for (const UpdateGraph::Parameter& parameter : update_.parameters)
    update_program_->bind_memory(parameter.gradient, sum(parameter.source_gradient));
  for (const UpdateGraph::Statistic& statistic : update_.statistics)
    update_program_->bind_memory(statistic.sum, sum(statistic.source_sample));
}

void Trainer::start_loader() {
  loader_ = make_loader(step_, spec_.last_step, config_.get<int>("data.threads"));
}

/// Of this rank's micro-batches of the steps [first, last).
std::unique_ptr<Loader> Trainer::make_loader(std::int64_t first_step, std::int64_t last_step, int threads) const {
  const auto [first, last] = share_of(world_.rank(), world_.size(), 0, spec_.virtual_workers);
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
          .rate = scalars_.values<double>()[kLearningRate],
          .batch = spec_.batch};
}

double Trainer::reduced(Value leaf) const {
  const LeafSlot& slot = training_.buckets.slot_of(leaf);
  return static_cast<double>(reducer_->result(slot.bucket)[static_cast<std::size_t>(slot.offset)]);
}

Trainer::StepOutcome Trainer::train_step() {
  auto scalars = scalars_.values<double>();
  scalars[kLearningRate] = rate_at(spec_.schedule, {.step = step_,
                                                    .total_steps = spec_.epoch_steps,
                                                    .batch = spec_.batch,
                                                    .samples = spec_.samples});
  const std::int64_t begin = monotonic_ns();
  const double data_before = workers_->data_wait_seconds(), wait_before = reducer_->exposed_seconds();
  all_.at("step", step_ + 1);
  trace::at_step(step_ + 1);
  if (chaos_) chaos_->before_step(step_ + 1);
  reducer_->begin(step_ + 1);
  workers_->run_step(step_, *loader_, *reducer_, take_asked());
  const std::int64_t arrival = monotonic_ns();  // the last local bucket has just been handed in
  reducer_->finish();
  bind_sums();
  const std::span<const float> last = reducer_->result(training_.buckets.buckets() - 1);
  const std::span<const float> asked = last.subspan(last.size() - kAsked);
  StepOutcome outcome{.checkpoint = asked[kAskCheckpoint] > 0, .stop = asked[kAskStop] > 0};
  const bool listed = is_skipped(step_ + 1), applies = !listed && reduced_is_finite();
  if (!applies && !listed) {
    outcome.rewound = meet_not_finite();
    if (outcome.rewound) return outcome;
  }
  StepParts parts{.input = workers_->data_wait_seconds() - data_before,
                  .communication = reducer_->exposed_seconds() - wait_before};
  if (applies) apply_update(parts);
  ledgers_->add(workers_->take_ledgers());
  ++step_;
  const double seconds = 1e-9 * static_cast<double>(monotonic_ns() - begin);
  parts.compute = std::max(0.0, seconds - parts.input - parts.communication);
  stragglers_->times().add(parts, seconds, arrival);
  return outcome;
}

void Trainer::apply_update(const StepParts& parts) {
  const trace::Doing update(trace::Activity::update, "the optimizer");
  const double weight = reduced(training_.weight);
  scalars_.values<double>()[kDivisor] = weight;
  scalars_.values<double>()[kApply] = 1;
  update_program_->run();
  ++marks_.updates;
  if (chaos_) chaos_->after_update(step_ + 1, state_);
  progress_->add(reduced(training_.loss), weight, reduced(training_.top1), parts.input, parts.communication);
}

bool Trainer::evaluate_validation() {
  if (!validation_data_) return false;
  const trace::Doing evaluating(trace::Activity::evaluate, "the validation split");
  const std::int64_t begin = monotonic_ns();
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
  const auto every_steps = config_.get<std::int64_t>("checkpoint.every-steps");
  const auto every_epochs = config_.get<std::int64_t>("checkpoint.every-epochs");
  const bool due = (every_steps && step_ % every_steps == 0) ||
                   (epoch_ended && every_epochs && (epoch + 1) % every_epochs == 0);
  const bool saves = due || outcome.checkpoint || outcome.stop || step_ == spec_.last_step;
  const auto audit_every = config_.get<std::int64_t>("train.audit-every");
  if (saves || (audit_every && step_ % audit_every == 0)) audit();
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

int Trainer::run() {
  mark_standing();
  if (evaluation_is_pending() || save_at_once_) {
    save(evaluation_is_pending() && evaluate_validation());
    complete_saves();
  }
  if (step_ >= spec_.last_step)
    progress_->say("train", fmt::format("nothing to do: the run has {} of {} steps", step_, spec_.last_step));
  progress_->go_on();  // only steps count as training time
  while (step_ < spec_.last_step) {
    const StepOutcome outcome = train_step();
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
  if (folder_) {
    folder_->write_status(status(0, done_reason(), -1));
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
