// The engine of local SGD (LocalRule): every replica of this rank is a host's engine with a state of its own, whose reduction
// is over its own micro-batches. Ranks exchange the replicas' sums of losses in every step, some bytes, so that all of them
// know at once what is not finite and what signals ask; states in steps that average; and gradients in steps before the
// first local one, as the tree over replicas.
#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "core/metrics/tree_sum.h"
#include "core/trace/trace.h"
#include "launch/train/host_engine.h"
#include "launch/train/replica_state.h"
#include "launch/train/thread_team.h"

namespace convoy {
namespace {

constexpr std::int64_t kAverageBucket = std::int64_t{1} << 20;  // elements: 4 MB, so that additions and exchange overlap

/// What the ranks tell each other of a replica in every local step.
struct Note {
  double loss = 0, weight = 0, top1 = 0, top5 = 0;
  Requests asked{};
  std::int32_t finite = 1;
  std::int32_t unused = 0;
};

class LocalEngine final : public BlockingEngine {
 public:
  LocalEngine(const TrainingGraph& training, const UpdateGraph& update, const Backend& backend, StateMemory& memory,
              const EngineOptions& options)
      : training_(training),
        rule_(options.local),
        options_(options),
        memory_(memory),
        elements_(bucket_elements(training)),
        held_(options.last_replica - options.first_replica),
        team_(std::clamp(options.threads, 1, held_)) {
    for (int index = 0; index < held_; ++index) {
      const auto [first, last] =
          leaves_of_replica(options.first_replica + index, rule_.replicas, options.virtual_workers);
      const int leaves = last - first;
      if (!updates_.contains(leaves)) updates_.emplace(leaves, options.make_update(training, leaves));
      Replica& made = *replicas_.emplace_back(std::make_unique<Replica>(memory.state(), backend));
      made.engine = std::make_unique<HostEngine>(training, updates_.at(leaves), backend, made.memory,
                                                 options_of(index, first, last));
      if (rule_.first_step > 0)
        made.synchronous = std::make_unique<HostUpdate>(training, update, backend, made.memory, made.engine->scalars());
    }
  }

  void connect(Communicator& world) override {
    all_ = world.split(0, world.rank());
    const std::unique_ptr<Communicator> self = world.split(world.rank(), 0);
    for (auto& replica : replicas_) replica->engine->connect(*self, 0);
    for (int rank = 0; rank < world.size(); ++rank) {
      const auto [first, last] = share_of(rank, world.size(), 0, rule_.replicas);
      held_by_.push_back(last - first);
    }
    const auto total = static_cast<std::int64_t>(replicas_.front()->state.averaged().size());
    for (std::int64_t at = 0; at < total; at += kAverageBucket)
      average_elements_.push_back(std::min(kAverageBucket, total - at));
    ReducerOptions options{.kind = options_.reduction,
                           .virtual_workers = rule_.replicas,
                           .bucket_elements = average_elements_,
                           .threads = team_.members(),
                           .name = "average of the replicas"};
    averager_ = make_reducer(world, options);
    if (rule_.first_step == 0) return;
    options.bucket_elements = elements_;
    options.rounding = training_.buckets.rounding;
    options.name = ReducerOptions().name;
    options.before_exchange = options_.before_exchange;
    synchronous_ = make_reducer(world, options);
  }

  bool is_one_model_after(std::int64_t steps) const override { return rule_.is_one_model_after(steps); }
  void gather_state() override {
    if (std::exchange(is_stale_, false)) copy_values(memory_.state(), replicas_.front()->state.state());
  }
  void read_state() override { gather_state(); }
  void write_state() override {
    is_stale_ = false;
    for (auto& replica : replicas_) copy_values(replica->state.state(), memory_.state());
  }

  void go_on() override {
    for (auto& replica : replicas_) replica->engine->go_on();
    if (std::exchange(is_put_off_, false)) average(step_);
  }
  std::vector<NotFinite> replay(std::int64_t step, Loader& loader) override {
    std::vector<NotFinite> all;
    for (auto& replica : replicas_) {
      const std::vector<NotFinite> found = replica->engine->replay(step, loader);
      all.insert(all.end(), found.begin(), found.end());
    }
    return all;
  }

  KeptScalars kept_scalars() override { return replicas_.front()->engine->kept_scalars(); }
  void set_kept_scalars(const KeptScalars& kept) override {
    for (auto& replica : replicas_) replica->engine->set_kept_scalars(kept);
  }
  std::size_t memory_bytes() const override {
    std::size_t bytes = memory_.bytes() + averager_->memory_bytes() + (synchronous_ ? synchronous_->memory_bytes() : 0);
    for (const auto& replica : replicas_) bytes += replica->engine->memory_bytes();
    return bytes;
  }
  void set_profile(bool on) override {
    for (auto& replica : replicas_) replica->engine->set_profile(on);
  }
  std::vector<const Program*> programs() const override {
    std::vector<const Program*> all;
    for (const auto& replica : replicas_)
      for (const Program* program : replica->engine->programs()) all.push_back(program);
    return all;
  }

 private:
  struct Replica {
    Replica(const ModelState& model, const Backend& backend) : state(model), memory(state.state(), backend.device()) {}
    ReplicaState state;
    StateMemory memory;
    std::unique_ptr<HostEngine> engine;
    std::unique_ptr<HostUpdate> synchronous;  // for steps before the first local one
  };

  /// Threads first work on replicas side by side; more of them within each. Faults of a rank's threads befall the first
  /// replica of each thread.
  EngineOptions options_of(int index, int first, int last) const {
    EngineOptions own = options_;
    own.reduction = ReductionKind::deterministic;  // within a process
    own.first_leaf = first;
    own.last_leaf = last;
    own.virtual_workers = last - first;
    own.threads = std::clamp(options_.threads / held_, 1, last - first);
    own.before_exchange = nullptr;
    bool is_first = false;
    for (int thread = 0; thread < team_.members(); ++thread)
      is_first = is_first || share_of(thread, team_.members(), 0, held_).first == index;
    if (!is_first) own.before_input = own.before_compute = nullptr;
    return own;
  }

  template <typename Work>
  void each_replica(const Work& work) {
    team_.run([&](int thread) {
      const auto [first, last] = share_of(thread, team_.members(), 0, held_);
      for (int index = first; index < last; ++index) work(*replicas_[static_cast<std::size_t>(index)], index);
    });
  }

  StepResult run(const StepOrder& order) override {
    step_ = order.step + 1;
    const double waited = exposed_seconds_;
    const bool is_local = rule_.is_local(order.step);
    each_replica([&](Replica& replica, int) { replica.engine->compute(order); });
    const std::int64_t arrival_ns = trace::now();
    StepResult result = is_local ? go_alone(order) : go_together(order);
    result.arrival_ns = arrival_ns;
    is_put_off_ = rule_.averages_after(step_) && result.halted;  // what was not finite is looked for where it came up
    if (rule_.averages_after(step_) && !is_put_off_) average(step_);
    result.parts.communication = exposed_seconds_ - waited;
    return result;
  }

  /// Every replica's update of itself, or none.
  StepResult go_alone(const StepOrder& order) {
    StepResult sums;
    const bool finite = agree(sums);
    each_replica([&](Replica& replica, int) {
      // What the guard of each looks at is then as it is on the worst of them: all skip the step, or halve the loss scale.
      if (!finite) replica.engine->sums().back()[elements_.back() - 1] = std::numeric_limits<float>::quiet_NaN();
      replica.engine->update(order);
    });
    StepResult result = gather_results(order);
    result.loss = sums.loss;
    result.weight = sums.weight;
    result.top1 = sums.top1;
    result.top5 = sums.top5;
    result.asked = sums.asked;
    return result;
  }

  /// A synchronous step: every replica applies the update of the whole batch.
  StepResult go_together(const StepOrder& order) {
    const double before = synchronous_->exposed_seconds();
    synchronous_->begin(step_);
    each_replica([&](Replica& replica, int index) {
      for (std::size_t bucket = 0; bucket < elements_.size(); ++bucket)
        synchronous_->bucket_ready(options_.first_replica + index, static_cast<int>(bucket), replica.engine->sums()[bucket]);
    });
    synchronous_->finish();
    exposed_seconds_ += synchronous_->exposed_seconds() - before;
    std::vector<float*> roots;
    for (std::size_t bucket = 0; bucket < elements_.size(); ++bucket)
      roots.push_back(const_cast<float*>(synchronous_->result(static_cast<int>(bucket)).data()));
    each_replica([&](Replica& replica, int) { replica.synchronous->run(roots, order); });
    is_stale_ = true;
    StepResult result = gather_results(order);
    read_sums(training_, roots, result);
    return result;
  }

  /// What is alike in all replicas, and the waits and samples of all of them.
  StepResult gather_results(const StepOrder& order) {
    StepResult all = replicas_.front()->engine->result(order);
    for (int index = 1; index < held_; ++index) {
      const StepResult one = replicas_[static_cast<std::size_t>(index)]->engine->result(order);
      all.parts.input += one.parts.input;
      for (const EpochLedger& part : one.ledgers) add_to(all.ledgers, part);
    }
    all.parts.input /= team_.members();
    return all;
  }

  /// Whether all that was reduced is finite in every replica of every rank; and the sums over the batch.
  bool agree(StepResult& sums) {
    if (options_.before_exchange) options_.before_exchange(step_);
    const trace::Doing exchanging(trace::Activity::exchange, "the replicas' sums");
    const std::int64_t begin = trace::now();
    const auto most = static_cast<std::size_t>(*std::max_element(held_by_.begin(), held_by_.end()));
    std::vector<Note> mine(most), all(most * held_by_.size());
    for (std::size_t index = 0; index < replicas_.size(); ++index) mine[index] = note_of(*replicas_[index]);
    all_->at("the replicas' sums", step_);
    all_->all_gather(mine.data(), most * sizeof(Note), all.data());
    std::vector<Note> notes;  // in the order of the replicas
    for (std::size_t rank = 0; rank < held_by_.size(); ++rank)
      for (int index = 0; index < held_by_[rank]; ++index)
        notes.push_back(all[rank * most + static_cast<std::size_t>(index)]);
    const auto sum = [&](double Note::*part) {
      std::vector<double> terms;
      for (const Note& note : notes) terms.push_back(note.*part);
      return tree_sum(terms);
    };
    sums.loss = sum(&Note::loss);
    sums.weight = sum(&Note::weight);
    sums.top1 = sum(&Note::top1);
    sums.top5 = sum(&Note::top5);
    bool finite = true;
    for (const Note& note : notes) {
      for (std::size_t ask = 0; ask < note.asked.size(); ++ask) sums.asked[ask] = std::max(sums.asked[ask], note.asked[ask]);
      finite = finite && note.finite != 0;
    }
    sent_.sums += static_cast<std::int64_t>(most * sizeof(Note) * (held_by_.size() - 1));
    exposed_seconds_ += 1e-9 * static_cast<double>(trace::now() - begin);
    return finite;
  }

  Note note_of(const Replica& replica) const {
    StepResult own;
    read_sums(training_, replica.engine->sums(), own);
    return {own.loss, own.weight, own.top1, own.top5, own.asked, all_finite(replica.engine->sums(), elements_) ? 1 : 0};
  }

  /// The mean of all replicas' states becomes the state of each, and the model's.
  void average(std::int64_t step) {
    const trace::Doing exchanging(trace::Activity::exchange, "the average of the replicas");
    const std::int64_t begin = trace::now();
    averager_->begin(step);
    each_replica([&](Replica& replica, int index) {
      const float* values = replica.state.averaged().data();
      for (std::size_t bucket = 0; bucket < average_elements_.size(); ++bucket) {
        averager_->bucket_ready(options_.first_replica + index, static_cast<int>(bucket), values);
        values += average_elements_[bucket];
      }
    });
    averager_->finish();
    each_replica([&](Replica& replica, int) {
      float* values = replica.state.averaged().data();
      const auto replicas = static_cast<float>(rule_.replicas);
      for (std::size_t bucket = 0; bucket < average_elements_.size(); ++bucket)
        for (const float sum : averager_->result(static_cast<int>(bucket))) *values++ = sum / replicas;
      refresh_copies(replica.state.state());
    });
    is_stale_ = true;
    gather_state();
    exposed_seconds_ += 1e-9 * static_cast<double>(trace::now() - begin);
  }

  Traffic sent() const override {
    return {.gradients = synchronous_ ? synchronous_->sent_bytes() : 0, .averages = averager_->sent_bytes(), .sums = sent_.sums};
  }

  const TrainingGraph& training_;
  const LocalRule rule_;
  const EngineOptions options_;
  StateMemory& memory_;            // of the model: the newest average
  const std::vector<std::int64_t> elements_;  // of the buckets
  const int held_;                 // replicas of this rank
  ThreadTeam team_;
  std::map<int, UpdateGraph> updates_;        // by micro-batches of a replica
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::unique_ptr<Communicator> all_;
  std::vector<int> held_by_;       // replicas, by rank
  std::vector<std::int64_t> average_elements_;
  std::unique_ptr<GradientReducer> averager_, synchronous_;  // trees over the replicas
  std::int64_t step_ = 0;
  bool is_stale_ = false;          // the model's state is behind the replicas', which are equal
  bool is_put_off_ = false;        // the average after step_, until go_on()
  Traffic sent_;
  double exposed_seconds_ = 0;
};

}  // namespace

std::unique_ptr<StepEngine> make_local_engine(const TrainingGraph& training, const UpdateGraph& update,
                                              const Backend& backend, StateMemory& memory, const EngineOptions& options) {
  return std::make_unique<LocalEngine>(training, update, backend, memory, options);
}

}  // namespace convoy
