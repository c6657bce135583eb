// The engine of model parallelism: a rank of a pair runs its tower's part of every micro-batch that the pair holds, reduces
// its tower's gradients with the ranks of the same tower, and updates what its tower alone trains. Before an update the two of a
// pair tell each other in some bytes whether all is finite and what signals ask; what one of them has updated alone travels when
// somebody looks at the whole state.
#include <algorithm>
#include <atomic>
#include <limits>
#include <map>
#include <string>
#include <utility>

#include "core/graph/place_towers.h"
#include "core/trace/trace.h"
#include "launch/train/host_engine.h"

namespace convoy {
namespace {

/// What the two of a pair tell each other in every step.
struct Word {
  Requests asked{};
  std::int32_t finite = 1;
};

using TensorMap = std::map<std::string, Tensor>;

/// What an update program changes.
std::map<std::byte*, Tensor> changed_by(const UpdateGraph& update, ModelState& state) {
  std::map<std::byte*, Tensor> changed;
  const auto add = [&](TensorMap& tensors, const std::string& name) { changed.emplace(tensors.at(name).bytes(), tensors.at(name)); };
  for (const UpdateGraph::Parameter& parameter : update.parameters) {
    add(state.parameters, parameter.name);
    for (const UpdateGraph::Slot& slot : parameter.slots) add(state.slots, slot.name);
  }
  for (const UpdateGraph::Statistic& statistic : update.statistics) add(state.state, statistic.name);
  for (const UpdateGraph::Average& average : update.averages) add(state.averages, average.name);
  return changed;
}

/// In one order on both ranks.
std::vector<Tensor> in_order(const ModelState& state, const std::map<std::byte*, Tensor>& those, const std::map<std::byte*, Tensor>& without) {
  std::vector<Tensor> ordered;
  for (const auto* tensors : {&state.parameters, &state.slots, &state.state, &state.averages})
    for (const auto& [name, tensor] : *tensors) {
      auto* const key = const_cast<std::byte*>(tensor.bytes());
      if (those.contains(key) && !without.contains(key)) ordered.push_back(tensor);
    }
  return ordered;
}

class TowerEngine final : public BlockingEngine {
 public:
  TowerEngine(const TrainingGraph& training, const Backend& backend, StateMemory& memory, const EngineOptions& options)
      : options_(options),
        memory_(memory),
        part_(part_of_tower(training, options.tower, options.bucket_bytes, options.gradient_sums)),
        update_(options.make_update(part_.training, options.virtual_workers)),
        elements_(bucket_elements(part_.training)),
        host_(part_.training, update_, backend, memory, options_of_host()) {
    for (const Op& op : part_.training.graph.ops())
      if (op.kind == OpKind::external && op.as<ExternalAttributes>().name == kTowerExchange)
        exchanges_.push_back({op.inputs, op.outputs});
    const TowerGraph other = part_of_tower(training, 1 - options.tower, options.bucket_bytes, options.gradient_sums);
    const auto mine = changed_by(update_, memory.state());
    const auto theirs = changed_by(options.make_update(other.training, options.virtual_workers), memory.state());
    own_ = in_order(memory.state(), mine, theirs);
    others_ = in_order(memory.state(), theirs, mine);
  }

  void connect(Communicator& world) override {
    const std::unique_ptr<Communicator> same_tower = world.split(options_.tower, world.rank());
    host_.connect(*same_tower);
    pair_ = world.split(world.rank() / 2, options_.tower);
    for (int leaf = options_.first_leaf; leaf < options_.last_leaf; ++leaf) wires_.push_back(pair_->split(0, options_.tower));
  }

  void gather_state() override {
    if (!std::exchange(is_stale_, false)) return;
    const trace::Doing exchanging(trace::Activity::exchange, "the other tower's state");
    pair_->at("the other tower's state", step_);
    std::vector<RequestPtr> requests;
    for (std::size_t i = 0; i < others_.size(); ++i)
      requests.push_back(pair_->receive(others_[i].bytes(), others_[i].size_bytes(), peer(), static_cast<int>(i)));
    for (std::size_t i = 0; i < own_.size(); ++i)
      requests.push_back(pair_->send(own_[i].bytes(), own_[i].size_bytes(), peer(), static_cast<int>(i)));
    for (const RequestPtr& request : requests) request->wait();
    refresh_copies(memory_.state());
  }
  void read_state() override { gather_state(); }
  void write_state() override { is_stale_ = false; }

  void go_on() override { host_.go_on(); }
  std::vector<NotFinite> replay(std::int64_t step, Loader& loader) override { return host_.replay(step, loader); }
  KeptScalars kept_scalars() override { return host_.kept_scalars(); }
  void set_kept_scalars(const KeptScalars& kept) override { host_.set_kept_scalars(kept); }
  std::size_t memory_bytes() const override { return host_.memory_bytes(); }
  void set_profile(bool on) override { host_.set_profile(on); }
  std::vector<const Program*> programs() const override { return host_.programs(); }

 private:
  EngineOptions options_of_host() {
    EngineOptions own = options_;
    own.made_at = &part_.made_at;
    own.exchange = [this](const Program& program, int leaf, int exchange) { this->exchange(program, leaf, exchange); };
    return own;
  }

  int peer() const { return 1 - options_.tower; }

  /// Any thread of the rank; a micro-batch has a communicator of its own.
  void exchange(const Program& program, int leaf, int number) {
    const std::int64_t begin = trace::now();
    const auto& [sent, received] = exchanges_[static_cast<std::size_t>(number)];
    Communicator& wire = *wires_[static_cast<std::size_t>(leaf - options_.first_leaf)];
    wire.at("the other tower's activations", step_);
    const auto bytes_of = [&](Value value) {
      const TensorDesc& desc = part_.training.graph.info(value).desc;
      return static_cast<std::size_t>(desc.shape.elements()) * size_of(desc.dtype);
    };
    std::vector<RequestPtr> requests;
    for (Value value : received) requests.push_back(wire.receive(program.memory(value), bytes_of(value), peer(), number));
    for (Value value : sent) {
      requests.push_back(wire.send(program.memory(value), bytes_of(value), peer(), number));
      sent_bytes_ += static_cast<std::int64_t>(bytes_of(value));
    }
    for (const RequestPtr& request : requests) request->wait();
    exchange_ns_ += trace::now() - begin;
  }

  StepResult run(const StepOrder& order) override {
    step_ = order.step + 1;
    const std::int64_t exchanged = exchange_ns_;
    host_.compute(order);
    const std::int64_t waits = (exchange_ns_ - exchanged) / std::max<std::int64_t>(1, static_cast<std::int64_t>(host_.programs().size()));
    const std::int64_t begin = trace::now();
    const Word both = agree();
    // What the guards of both look at is then alike.
    if (both.finite == 0) host_.sums().back()[elements_.back() - 1] = std::numeric_limits<float>::quiet_NaN();
    const std::int64_t agreed = trace::now();
    host_.update(order);
    is_stale_ = true;
    StepResult result = host_.result(order);
    result.asked = both.asked;
    if (options_.tower > 0) result.ledgers.clear();  // the same samples as tower 0's
    result.parts.communication += 1e-9 * static_cast<double>(waits + agreed - begin);
    return result;
  }

  Word agree() {
    const trace::Doing exchanging(trace::Activity::exchange, "the other tower's word");
    StepResult sums;
    read_sums(part_.training, host_.sums(), sums);
    Word mine{sums.asked, all_finite(host_.sums(), elements_) ? 1 : 0}, theirs;
    pair_->at("the other tower's word", step_);
    const RequestPtr received = pair_->receive(&theirs, sizeof theirs, peer(), 0);
    const RequestPtr sent = pair_->send(&mine, sizeof mine, peer(), 0);
    received->wait();
    sent->wait();
    Word both{{}, std::min(mine.finite, theirs.finite)};
    for (std::size_t ask = 0; ask < both.asked.size(); ++ask) both.asked[ask] = std::max(mine.asked[ask], theirs.asked[ask]);
    return both;
  }

  Traffic sent() const override { return {.gradients = host_.traffic()->gradients, .activations = sent_bytes_}; }

  struct TowerExchange {
    std::vector<Value> sent, received;
  };

  const EngineOptions options_;
  StateMemory& memory_;
  const TowerGraph part_;
  const UpdateGraph update_;
  const std::vector<std::int64_t> elements_;  // of the buckets
  HostEngine host_;
  std::vector<TowerExchange> exchanges_;
  std::vector<Tensor> own_, others_;          // of the state: what either tower alone changes
  std::unique_ptr<Communicator> pair_;
  std::vector<std::unique_ptr<Communicator>> wires_;  // between the two of the pair, by micro-batch
  std::int64_t step_ = 0;
  bool is_stale_ = false;          // others_ is behind the other rank's
  std::atomic<std::int64_t> sent_bytes_{0}, exchange_ns_{0};
};

}  // namespace

std::unique_ptr<StepEngine> make_tower_engine(const TrainingGraph& training, const Backend& backend, StateMemory& memory,
                                              const EngineOptions& options) {
  return std::make_unique<TowerEngine>(training, backend, memory, options);
}

}  // namespace convoy
