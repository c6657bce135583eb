#include "launch/train/workers.h"

#include <chrono>
#include <span>

#include "core/graph/place_towers.h"
#include "launch/train/engine_parts.h"

namespace convoy {

Workers::Workers(const TrainingGraph& training, const Backend& backend, const StateMemory& memory,
                 const WorkersOptions& options)
    : training_(training), options_(options), team_(options.threads) {
  for (int thread = 0; thread < options.threads; ++thread) {
    lanes_.push_back(make_lane(backend, memory));
    const auto [first, last] = share_of(thread, options.threads, options.first_leaf, options.last_leaf);
    lanes_.back()->first_leaf = first;
    lanes_.back()->last_leaf = last;
  }
}

std::unique_ptr<Workers::Lane> Workers::make_lane(const Backend& backend, const StateMemory& memory) {
  auto lane = std::make_unique<Lane>();
  lane->program = std::make_unique<Program>(
      training_.graph, backend,
      ProgramOptions{.threads = options_.threads_per_micro_batch, .outside = training_.leaves, .keep = {}});
  for (std::int64_t elements : bucket_elements(training_)) lane->buckets.emplace_back(static_cast<std::size_t>(elements));
  for (const LeafSlot& slot : training_.buckets.slots)
    lane->program->bind_memory(slot.value, lane->buckets[static_cast<std::size_t>(slot.bucket)].data() + slot.offset);
  bind_state(*lane->program, memory);
  if (const Value scale = training_.graph.find("loss_scale"); scale.exists())
    lane->program->bind_memory(scale, const_cast<void*>(options_.loss_scale));  // only read
  Lane* self = lane.get();
  lane->program->set_external([this, self](const ExternalAttributes& call) {
    if (call.name == kTowerExchange) return options_.exchange(*self->program, self->current_leaf, call.index);
    if (self->reducer) hand_in(*self, call.index);
  });
  if (options_.batch_sums)
    lane->program->set_batch_sum([self, sums = options_.batch_sums](int index, const void* part, void* sum, std::int64_t) {
      if (self->reducer)
        sums->sum(index, self->current_leaf, static_cast<const float*>(part), static_cast<float*>(sum));
      else
        sums->recall(index, static_cast<float*>(sum));  // a step is replayed
    });
  observe(*lane, nullptr);
  return lane;
}

void Workers::hand_in(Lane& lane, int bucket) const {
  const auto at = static_cast<std::size_t>(bucket);
  float* data = lane.buckets[at].data();
  if (at < options_.lends.size() && options_.lends[at] && lane.current_leaf + 1 == lane.last_leaf)
    lane.reducer->lend_bucket(lane.current_leaf + offset_, bucket, data);
  else
    lane.reducer->bucket_ready(lane.current_leaf + offset_, bucket, data);
}

void Workers::bind_batch(Lane& lane, const MicroBatch& batch) {
  const TaskInputs& inputs = training_.inputs;
  lane.batch = &batch;
  lane.program->bind_memory(inputs.images, const_cast<std::byte*>(batch.images.bytes()));  // inputs are only read
  lane.program->bind_memory(inputs.transforms, const_cast<std::byte*>(batch.transforms.bytes()));
  lane.program->bind_memory(inputs.labels, const_cast<std::byte*>(batch.labels.bytes()));
  lane.program->bind_memory(inputs.weights, const_cast<std::byte*>(batch.weights.bytes()));
  if (inputs.partner_labels.exists()) {
    lane.program->bind_memory(inputs.partner_labels, const_cast<std::byte*>(batch.partner_labels.bytes()));
    lane.program->bind_memory(inputs.partner_weights, const_cast<std::byte*>(batch.partner_weights.bytes()));
  }
  if (inputs.keys.exists()) lane.program->bind_memory(inputs.keys, const_cast<std::byte*>(batch.keys.bytes()));
}

/// Looks at the outputs of ops where that is wanted: to poison samples, and (`found`) to find what is not finite.
void Workers::observe(Lane& lane, std::vector<NotFinite>* found) {
  if (!options_.poison && !found) return lane.program->set_observer(nullptr);
  lane.program->set_observer([this, &lane, found](int index, std::span<const Value> written) {
    const Op& op = lane.program->graph().ops()[static_cast<std::size_t>(index)];
    if (options_.poison && op.kind == OpKind::prepare) poison(lane, op.outputs.front());
    if (!found || (!found->empty() && found->back().leaf == lane.current_leaf)) return true;
    for (Value value : written) {
      const auto bad = not_finite_in(lane.program->graph(), value, lane.program->memory(value), *lane.batch);
      if (!bad) continue;
      found->push_back(*bad);
      found->back().leaf = lane.current_leaf;
      found->back().place = options_.made_at ? options_.made_at->at(static_cast<std::size_t>(value.id)) : index;
      found->back().op = op_def(op.kind).name;
      found->back().layer = op.layer;
      return options_.exchange != nullptr;  // where another rank waits for what comes later, the program runs to its end
    }
    return true;
  });
}

void Workers::poison(const Lane& lane, Value prepared) const {
  const TensorDesc& desc = lane.program->graph().info(prepared).desc;
  const std::int64_t rows = desc.shape[0], each = desc.shape.elements() / rows;
  const std::size_t row_bytes = static_cast<std::size_t>(each) * size_of(desc.dtype);
  const auto keys = lane.batch->keys.values<std::uint64_t>();
  for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row)
    if (options_.poison(static_cast<std::int64_t>(keys[2 * row + 1])))
      fill_with_nan(lane.program->data<std::byte>(prepared) + row * row_bytes, each, desc.dtype);
}

std::vector<NotFinite> Workers::replay(std::int64_t step, Loader& loader) {
  std::vector<std::vector<NotFinite>> found(lanes_.size());
  team_.run([&](int thread) {
    Lane& lane = *lanes_[static_cast<std::size_t>(thread)];
    lane.reducer = nullptr;
    observe(lane, &found[static_cast<std::size_t>(thread)]);
    for (int leaf = lane.first_leaf; leaf < lane.last_leaf; ++leaf) {
      const std::shared_ptr<MicroBatch> batch = loader.next(step, leaf);
      bind_batch(lane, *batch);
      lane.current_leaf = leaf;
      lane.program->run();
    }
    observe(lane, nullptr);
  });
  std::vector<NotFinite> all;
  for (const auto& part : found) all.insert(all.end(), part.begin(), part.end());
  return all;
}

void Workers::run_leaf(Lane& lane, std::int64_t step, int leaf, Loader& loader, const Requests& asked) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const bool first_of_thread = leaf == lane.first_leaf;
  if (first_of_thread && options_.before_input) options_.before_input(step + 1);
  const std::shared_ptr<MicroBatch> batch = loader.next(step, leaf);
  lane.data_wait += std::chrono::duration<double>(Clock::now() - begin).count();
  if (first_of_thread && options_.before_compute) options_.before_compute(step + 1);
  bind_batch(lane, *batch);
  float* requests = lane.buckets.back().data() + (bucket_elements(training_).back() - kAsked);
  const bool first_of_rank = leaf == options_.first_leaf;
  requests[kAskCheckpoint] = first_of_rank ? asked[kAskCheckpoint] : 0.0F;
  requests[kAskStop] = first_of_rank ? asked[kAskStop] : 0.0F;
  lane.current_leaf = leaf;
  lane.program->run();
  note_samples(*batch, lane.ledgers);
}

void Workers::run_step(std::int64_t step, Loader& loader, GradientReducer& reducer,
                       const Requests& asked) {
  team_.run([&](int thread) {
    Lane& lane = *lanes_[static_cast<std::size_t>(thread)];
    lane.reducer = &reducer;
    try {
      for (int leaf = lane.first_leaf; leaf < lane.last_leaf; ++leaf) run_leaf(lane, step, leaf, loader, asked);
    } catch (...) {
      if (options_.batch_sums) options_.batch_sums->abandon(std::current_exception());
      throw;
    }
  });
}

std::vector<EpochLedger> Workers::take_ledgers() {
  std::vector<EpochLedger> merged;
  for (auto& lane : lanes_) {
    for (const EpochLedger& part : lane->ledgers) add_to(merged, part);
    lane->ledgers.clear();
  }
  return merged;
}

void Workers::set_profile(bool on) {
  for (auto& lane : lanes_) lane->program->profile = on;
}

double Workers::data_wait_seconds() const {
  double seconds = 0;
  for (const auto& lane : lanes_) seconds += lane->data_wait;
  return seconds / static_cast<double>(lanes_.size());
}

std::size_t Workers::memory_bytes() const {
  std::size_t bytes = 0;
  for (const auto& lane : lanes_) {
    bytes += lane->program->arena_bytes() + lane->program->scratch_bytes();
    for (const std::int64_t elements : bucket_elements(training_)) bytes += static_cast<std::size_t>(elements) * sizeof(float);
  }
  return bytes;
}

}  // namespace convoy
