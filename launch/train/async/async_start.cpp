// How an asynchronous run begins.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "core/optim/schedule.h"
#include "core/tensor/error.h"
#include "core/trace/trace.h"
#include "distributed/agreement.h"
#include "launch/check.h"
#include "launch/check_mode.h"
#include "launch/layer_options.h"
#include "launch/train/agreement.h"
#include "launch/train/async/async_trainer.h"
#include "launch/train/plans.h"
#include "launch/train/step_engine.h"

namespace convoy {
namespace {

constexpr double kSilentSeconds = 10;

}  // namespace

bool ranks_may_die() {
  const auto is = [](const char* variable) { return std::getenv(variable) != nullptr; };
  const char* recovery = std::getenv("OMPI_MCA_orte_enable_recovery");
  return !is("OMPI_MCA_orte_hnp_uri") || (recovery && std::string_view(recovery) == "1");
}

OptimizerOptions optimizer_of_pushes(const RunSpec& spec, const AsyncOptions& options) {
  OptimizerOptions optimizer = spec.optimizer;
  if (!options.rounds()) optimizer.average_from = optimizer.average_from * spec.virtual_workers / options.push_every;
  return optimizer;
}

void record_async(const AsyncOptions& options, RunRecord& record) {
  if (options.rounds() && options.backup == 0) return;
  record["mode"] = options.backup > 0 ? fmt::format("rounds backup={}", options.backup)
                                      : fmt::format("async fetch-every={} push-every={} staleness-scaling={} delay-compensation={}",
                                                    options.fetch_every, options.push_every,
                                                    options.scales_by_staleness ? "inverse" : "none", options.compensation);
}

AsyncTrainer::AsyncTrainer(const Config& config, Team& team, RunFolder* folder)
    : config_(config), team_(team), all_(team.all()), folder_(folder) {
  all_.set_deadline(std::chrono::seconds(3 * config.get<int>("timeout")));
  progress_ = std::make_unique<Progress>(team.rank() == 0, config.get<std::int64_t>("train.log-every"), team.name());
  agree(all_, "the config", [&] {
    check_run(config_);
    check_ranks(config_, team_.size());
    options_ = async_options(config_);
    if (!replays()) return;
    if (team_.size() > 1) throw UsageError(fmt::format("--replay repeats a run on one rank, but there are {}", team_.size()));
    if (!config_.get<std::string>("resume").empty()) throw UsageError("--replay begins at the beginning: leave --resume out");
    options_.colocated = true;
  });
  agree(all_, "the device and the data", [&] {
    backend_ = make_backend(config_, team_.seats(), computation_of(config_));
    host_backend_ = make_cpu_backend();
    open_data();
  });
  const int threads = backend_->device().is_host()
                          ? threads_for(config_.get<int>("device.threads"),
                                        std::max(usable_cores() / spec_.threads_per_micro_batch, 1), team_.ranks_on_host(),
                                        spec_.virtual_workers)
                          : 1;
  std::vector<int> threads_of(static_cast<std::size_t>(team_.size()));
  all_.all_gather(&threads, sizeof threads, threads_of.data());
  roles_ = roles_of(options_, threads_of);
  agree(all_, "the graphs", [&] { build_graphs(); });
  make_faults();
  agree(all_, "the checkpoint to resume from", [&] {
    if (!folder_) return;
    std::vector<std::string> warnings;
    found_ = find_checkpoint(config_, *folder_, warnings);
    for (const std::string& warning : warnings) progress_->say("resume", warning);
  });
  alone_ = all_.split(team_.rank(), 0);
  state_ = first_state(config_, training_.graph, update_, spec_.seeds.init, all_, folder_, found_, initial_digest_, *progress_);
  bind_alike(all_, *backend_, found_ ? recorded_plans(found_->checkpoint.run_record) : "", [&] { build_lanes(); });
  make_record();
  check_same_record(all_, record_);
  introduce();
  resume();
  start_servers();
}

AsyncTrainer::~AsyncTrainer() = default;

void AsyncTrainer::open_data() {
  const trace::Doing starting(trace::Activity::start, "opening the data");
  train_data_ = open_dataset(dataset_options(config_, Split::train));
  spec_ = make_run_spec(config_, train_data_->info());
  validation_data_ = open_validation(config_);
}

void AsyncTrainer::build_graphs() {
  training_ = build_training_graph(spec_.task, spec_.bucket_bytes, spec_.gradient_sums);
  if (!batch_sum_elements(training_).empty())
    throw UsageError("model.batch-norm = global normalises over the whole batch, whose micro-batches never meet in this mode; say "
                     "--model.batch-norm=micro-batch, or --mode=sync");
  check_layer_options(config_, training_.graph);
  spec_.optimizer.rate_factors = rate_factors(config_, training_.graph);
  spec_.optimizer = optimizer_of_pushes(spec_, options_);
  update_ = build_update_graph(training_.graph, training_.gradients, spec_.optimizer,
                               options_.rounds() ? spec_.virtual_workers : 1, guard_options(training_, false));
  layout_ = flat_layout(training_, update_);
}

void AsyncTrainer::make_faults() {
  InjectScene scene{.seed = config_.get<std::uint64_t>("seed"),
                    .last_step = spec_.last_step,
                    .samples = train_data_->info().stored_samples};
  if (train_data_->info().samples < train_data_->info().stored_samples)
    scene.held_out = [share = config_.get<double>("data.validation")](std::int64_t id) { return is_held_out(id, share); };
  chaos_ = make_chaos(all_, {.spec = config_.get<std::string>("inject"),
                             .run_folder = config_.get<std::filesystem::path>("runs") / config_.get<std::string>("run"),
                             .new_run = config_.get<std::string>("resume").empty(),
                             .scene = std::move(scene)});
}

std::unique_ptr<Lane> AsyncTrainer::make_lane() {
  const bool first = lanes_.empty();
  if (!first && !backend_->device().is_host()) throw Error("a device has one worker");
  LaneOptions options{.servers = static_cast<int>(roles_.servers.size()),
                      .threads_per_micro_batch = spec_.threads_per_micro_batch,
                      .classes = spec_.task.classes,
                      .deadline = std::chrono::seconds(config_.get<int>("timeout"))};
  if (chaos_ && chaos_->poisons() && !backend_->device().is_host())
    throw UsageError("--inject=nan of a worker writes into its samples, which it does on the cpu alone: give --device=cpu");
  if (chaos_ && chaos_->poisons()) options.poison = [this](std::int64_t id) { return chaos_->poison(id); };
  return std::make_unique<Lane>(training_, layout_, *backend_, state_, options);
}

/// Also on a device's rank that does not work: its plans are everybody's.
void AsyncTrainer::build_lanes() {
  lanes_.clear();
  const std::size_t workers = roles_.workers_of(team_.rank()).size();
  while (lanes_.size() < std::max<std::size_t>(workers, backend_->device().is_host() ? 0 : 1)) lanes_.push_back(make_lane());
  if (workers == 0) lanes_.clear();
  if (!folder_ || !validation_data_) return;
  evaluator_.reset();
  if (!backend_->device().is_host()) evaluation_backend_ = make_backend(config_, team_.seats(), computation_of(config_));
  evaluator_ = std::make_unique<BackgroundEvaluator>(
      spec_.task, evaluation_backend_ ? *evaluation_backend_ : *backend_,
      EvaluatorOptions{.threads = backend_->device().is_host() ? threads_for(config_.get<int>("device.threads"), usable_cores(),
                                                                            team_.ranks_on_host(), usable_cores())
                                                               : 1,
                       .loader_threads = config_.get<int>("data.threads"),
                       .augment = spec_.augment},
      *validation_data_, *alone_, state_);
}

void AsyncTrainer::make_record() {
  record_ = make_run_record(config_, spec_, train_data_->info(), *backend_, training_.hash);
  if (!initial_digest_.empty()) record_["init-from"] = initial_digest_;
  record_async(options_, record_);
}

void AsyncTrainer::introduce() {
  progress_->say("data", describe_data(train_data_->info(), validation_data_.get()));
  std::size_t bytes = evaluator_ ? evaluator_->memory_bytes() : 0;
  for (const auto& lane : lanes_) bytes += lane->memory_bytes();
  progress_->say("model", describe_model(training_.graph, spec_, bytes));
  const std::string gap = options_.max_gap < 0 ? "no bound on how far workers drift apart"
                          : options_.rounds()  ? "rounds of all micro-batches of a step"
                                               : fmt::format("at most {} micro-batches apart", options_.max_gap);
  const std::string computes = fmt::format(
      "{} worker{}, {} server{}{}; {}{}", roles_.worker_ranks.size(), roles_.worker_ranks.size() == 1 ? "" : "s", roles_.servers.size(), roles_.servers.size() == 1 ? "" : "s",
      options_.colocated ? " on the workers' ranks" : "", gap, options_.backup > 0 ? fmt::format(", {} to spare", options_.backup) : "");
  progress_->say("world", describe_world(config_, team_, *backend_, computes));
  if (const std::string advice = backend_->advice(spec_.task.compute); !advice.empty()) progress_->say("device", advice);
}

/// Rank 0 takes over what it has found; the others receive.
void AsyncTrainer::resume() {
  AsyncMarks marks;
  agree(all_, "the checkpoint to resume from", [&] {
    if (!folder_) return;
    book_ = std::make_unique<RunBook>(config_, spec_, *train_data_, *folder_, *progress_, *alone_, evaluator_.get(), record_,
                                      training_.hash, team_.size());
    if (chaos_) book_->before_save([this](std::int64_t so_far) { return chaos_->before_save(so_far); });
    if (chaos_)
      book_->saver().observe_writes([this](double fraction) {
        chaos_->slow_save();
        chaos_->during_save(fraction);
      });
    book_->reserve(state_);
    if (!found_) {
      book_->begin_afresh();
    } else {
      check_record(config_, found_->checkpoint, record_, found_->file, *progress_);
      restore(state_, found_->checkpoint, true, found_->file);
      updates_ = found_->checkpoint.updates;
      marks = found_->checkpoint.mode.empty()
                  ? AsyncMarks{.version = found_->checkpoint.updates, .watermark = found_->checkpoint.step * spec_.virtual_workers}
                  : decode_marks(found_->checkpoint.mode, found_->file);
      const bool own = lies_in(*folder_, found_->file);
      if (!own) marks.entries = 0;
      book_->go_on_from(found_->checkpoint, found_->file, own);
      book_->clocks() = marks.clocks;
    }
    SequencerOptions options{.servers = static_cast<int>(roles_.servers.size()),
                             .workers = static_cast<int>(roles_.worker_ranks.size()),
                             .virtual_workers = spec_.virtual_workers,
                             .units = total_units(),
                             .max_gap = options_.max_gap,
                             .backup = options_.backup,
                             .skips = config_.get<std::string>("on-nan") == "skip"};
    sequencer_ = std::make_unique<Sequencer>(options);
    sequencer_->restore(marks.watermark, marks.above, marks.version);
    done_ = std::make_unique<Units>(total_units());
    done_->restore(marks.watermark, marks.above);
    version_ = marks.version;
    log_ = std::make_unique<PushLog>(folder_->path() / "pushes.jsonl", marks.entries);
    if (marks.entries == 0) log_->append({.kind = LogEntry::Kind::record, .version = version_, .pushes = {}, .left_out = {}, .record = record_});
  });
  broadcast_state(state_, all_);
  all_.broadcast(&updates_, sizeof updates_, 0);
}

void AsyncTrainer::start_servers() {
  const auto found = std::ranges::find(roles_.servers, team_.rank());
  if (found != roles_.servers.end()) {
    server_number_ = static_cast<int>(found - roles_.servers.begin());
    slice_ = std::make_unique<SliceOptimizer>(
        training_, layout_, slice_range(layout_, server_number_, static_cast<int>(roles_.servers.size())),
        SliceOptions{.optimizer = spec_.optimizer,
                     .micro_batches = options_.rounds() ? spec_.virtual_workers : 1,
                     .compensation = options_.compensation},
        *host_backend_, state_, updates_);
    server_ = std::make_unique<ParameterServer>(*slice_, options_.compensation > 0);
    std::size_t bytes = slice_->memory_bytes() + (evaluator_ ? evaluator_->memory_bytes() : 0);
    for (const auto& lane : lanes_) bytes += lane->memory_bytes();
    if (book_) book_->set_booked_bytes(bytes);
  }
  const std::vector<ProcessPlace> places = gather_places(all_, team_.host());
  std::vector<int> watched{0};
  if (team_.rank() == 0)
    for (int rank = 1; rank < team_.size(); ++rank) watched.push_back(rank);
  // Where mpirun ends all with the first, a rank that is stopped may still go on, and would not survive being left out.
  liveness_ = std::make_unique<Liveness>(places, watched, team_.host(),
                                         ranks_may_die() ? kSilentSeconds : config_.get<double>("timeout"));
}

double AsyncTrainer::rate_at_unit(std::int64_t unit) const {
  return rate_at(spec_.schedule, {.step = unit / spec_.virtual_workers,
                                  .total_steps = spec_.epoch_steps,
                                  .batch = spec_.batch,
                                  .samples = spec_.samples});
}

std::unique_ptr<UnitFeed> AsyncTrainer::make_feed() const {
  const TrainingStream stream{.order_seed = spec_.seeds.order,
                              .order = spec_.order,
                              .augment = spec_.augment,
                              .batch = spec_.batch,
                              .virtual_workers = spec_.virtual_workers,
                              .first_worker = 0,
                              .last_worker = spec_.virtual_workers,
                              .first_step = 0,
                              .last_step = spec_.last_step};
  return std::make_unique<UnitFeed>(make_training_loader(*train_data_, stream, {.threads = 0, .depth = 1}), spec_.virtual_workers);
}

void AsyncTrainer::start_workers() {
  const std::vector<int> numbers = roles_.workers_of(team_.rank());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    WorkerOptions options{.id = numbers[i],
                          .servers = static_cast<int>(roles_.servers.size()),
                          .virtual_workers = spec_.virtual_workers,
                          .fetch_every = options_.fetch_every,
                          .push_every = options_.push_every,
                          .ahead = options_.ahead,
                          .rate = [this](std::int64_t unit) { return rate_at_unit(unit); }};
    if (chaos_) {
      options.before_unit = [this, last = std::int64_t{0}](std::int64_t step) mutable {
        while (last < step) chaos_->before_step(++last);  // a worker meets not every step
      };
      options.before_input = [this](std::int64_t step) { chaos_->before_input(step); };
      options.before_compute = [this](std::int64_t step) { chaos_->before_compute(step); };
    }
    workers_.push_back(std::make_unique<Worker>(options, std::move(lanes_[i]), make_feed()));
  }
  lanes_.clear();
}

std::map<std::string, std::string> encode_marks(const AsyncMarks& marks) {
  std::vector<std::string> clocks;
  for (const auto& [worker, clock] : marks.clocks) clocks.push_back(fmt::format("{}:{}", worker, clock));
  return {{"version", std::to_string(marks.version)},
          {"units", std::to_string(marks.watermark)},
          {"units-above", fmt::format("{}", fmt::join(marks.above, ","))},
          {"entries", std::to_string(marks.entries)},
          {"clocks", fmt::format("{}", fmt::join(clocks, ","))}};
}

AsyncMarks decode_marks(const std::map<std::string, std::string>& mode, const std::string& file) {
  const auto number = [&](std::string_view text) {
    std::int64_t value = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || rest != text.data() + text.size())
      throw DataError(fmt::format("{}: '{}' in the state of the asynchronous run is no number", file, text));
    return value;
  };
  const auto text_of = [&](const char* name) -> const std::string& {
    const auto found = mode.find(name);
    if (found == mode.end()) throw DataError(fmt::format("{}: the state of the asynchronous run has no '{}'", file, name));
    return found->second;
  };
  const auto for_each = [&](const std::string& list, const auto& use) {
    for (std::size_t begin = 0; begin < list.size();) {
      const std::size_t end = std::min(list.find(',', begin), list.size());
      use(std::string_view(list).substr(begin, end - begin));
      begin = end + 1;
    }
  };
  AsyncMarks marks{.version = number(text_of("version")), .watermark = number(text_of("units")), .entries = number(text_of("entries"))};
  for_each(text_of("units-above"), [&](std::string_view unit) { marks.above.push_back(number(unit)); });
  for_each(text_of("clocks"), [&](std::string_view clock) {
    const std::size_t colon = clock.find(':');
    if (colon == clock.npos) throw DataError(fmt::format("{}: '{}' is no worker's clock", file, clock));
    marks.clocks[static_cast<int>(number(clock.substr(0, colon)))] = number(clock.substr(colon + 1));
  });
  return marks;
}

}  // namespace convoy
